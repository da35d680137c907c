"""Installing the module, with a fake make and a fake dkms; and the errors where something is missing."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from nvi_operator.errors import BuildError, CapabilityError
from nvi_operator.kernel.kmod.build import built, failure
from nvi_operator.kernel.kmod.install import install, uninstall
from nvi_operator.kernel.kmod.load import explain
from nvi_operator.kernel.kmod.sources import (
    PRODUCTS,
    SHARED,
    copy_sources,
    find_sources,
    package_version,
    same_sources,
)
from nvi_operator.kernel.kmod.survey import survey_module
from nvi_operator.kmod.facts import DkmsBuild
from tests.unit.kmod.machines import RELEASE, Machine, ko

ROOT = Path(__file__).resolve().parents[3]
MAKE = """\
#!/bin/sh
# make -C HEADERS M=DIRECTORY ...: the result is there already.
cd "${3#M=}" && cp made nvi.ko
"""


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    directory = tmp_path / "kmod"
    directory.mkdir()
    (directory / "nvi.c").write_text("")
    (directory / "made").write_bytes(ko())
    (directory / "Kbuild").write_text("obj-m := nvi.o\n")
    (directory / "dkms.conf").write_text('PACKAGE_NAME="nvi"\nPACKAGE_VERSION="0.3.0"\n')
    return directory


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with headers and tools, without DKMS."""
    machine = Machine(tmp_path / "root")
    machine.write(f"lib/modules/{RELEASE}/build/Makefile", "")
    machine.write(f"lib/modules/{RELEASE}/modules.order", "")
    machine.write("bin/make", MAKE).chmod(0o755)
    for tool in ("sh", "cp", "cat", "mkdir", "ln", "rm", "depmod"):
        found = shutil.which(tool)
        assert found, tool
        (machine.root / "bin" / tool).symlink_to(found)
    monkeypatch.setenv("PATH", str(machine.root / "bin"))
    return machine


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*"))


def test_what_is_installed_without_dkms_is_found_by_depmod_and_installed_once(stub: Path, machine: Machine) -> None:
    for changed in (True, False):
        done = install(stub, RELEASE, dkms=False, root=machine.root)
        assert done.changed is changed
        assert done.file.path == str(machine.root / "lib/modules" / RELEASE / "updates/nvi.ko")
        assert survey_module(machine.root, RELEASE).installed == done.file
    (stub / "made").write_bytes(ko(source="EF01"))
    assert install(stub, RELEASE, dkms=False, root=machine.root).changed, "other sources"
    assert list(uninstall(machine.root)) == [done.file.path]
    assert survey_module(machine.root, RELEASE).installed is None
    assert list(uninstall(machine.root)) == []


def test_a_signature_of_the_owners_survives_a_second_install(stub: Path, machine: Machine) -> None:
    path = Path(install(stub, RELEASE, dkms=False, root=machine.root).file.path)
    path.write_bytes(path.read_bytes() + b"~Module signature appended~\n")
    assert install(stub, RELEASE, dkms=False, root=machine.root).file.signed


DKMS = """\
#!/bin/sh -e
# What dkms does in its tree and in the kernel's.
cd {root}/var/lib/dkms
echo "$*" >> {root}/calls
case $1 in
add) mkdir -p $2/source ;;
install) mkdir -p $2/$4/x86_64/module {root}/lib/modules/$4/updates/dkms
    cp {module} $2/$4/x86_64/module/nvi.ko
    cp {module} {root}/lib/modules/$4/updates/dkms/nvi.ko
    echo "updates/dkms/nvi.ko:" > {root}/lib/modules/$4/modules.dep
    ln -sfn ${{2#nvi/}}/$4/x86_64 nvi/kernel-$4-x86_64 ;;
remove) rm -r $2 nvi/kernel-* ;;
esac
"""


@pytest.fixture
def dkms(machine: Machine) -> Machine:
    machine.write("var/lib/dkms/nvi/keep", "")
    module = machine.write("made.ko", ko())
    machine.write("bin/dkms", DKMS.format(root=machine.root, module=module)).chmod(0o755)
    return machine


def test_dkms_gets_the_sources_once_and_again_when_they_change(stub: Path, dkms: Machine) -> None:
    assert [install(stub, RELEASE, root=dkms.root).changed for _ in range(2)] == [True, False]
    assert survey_module(dkms.root).dkms_builds == (DkmsBuild("0.3.0", RELEASE, "installed"),)
    (stub / "made").unlink()
    with pytest.raises(BuildError):
        install(stub, RELEASE, root=dkms.root)
    assert survey_module(dkms.root).dkms_builds, "the working version stays"
    (stub / "made").write_bytes(ko(source="EF01"))
    assert install(stub, RELEASE, root=dkms.root).changed
    calls = (dkms.root / "calls").read_text().splitlines()
    once = ["add nvi/0.3.0", f"install nvi/0.3.0 -k {RELEASE}"]
    assert calls == [*once, "remove nvi/0.3.0 --all", *once]
    assert same_sources(stub, dkms.root / "usr/src/nvi-0.3.0")
    assert len(list(uninstall(dkms.root))) == 1
    assert not (dkms.root / "usr/src/nvi-0.3.0").exists()


def test_dkms_is_not_used_with_no_dkms(stub: Path, dkms: Machine) -> None:
    install(stub, RELEASE, dkms=False, root=dkms.root)
    assert not (dkms.root / "calls").exists()


def test_a_failure_of_dkms_is_shown_in_its_words(stub: Path, dkms: Machine) -> None:
    dkms.write("bin/dkms", "#!/bin/sh\necho 'Error! no luck' >&2\nexit 3\n")
    with pytest.raises(CapabilityError, match=r"dkms add: Error! no luck\n  hint: .*--no-dkms"):
        install(stub, RELEASE, root=dkms.root)


# --------------------------------------------------------------------------- what is missing


def test_without_headers_the_hint_installs_them(stub: Path, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "root")
    with (
        pytest.raises(CapabilityError, match=r"headers of kernel .* not found") as caught,
        built(stub, RELEASE, machine.root),
    ):
        pass
    assert caught.value.hint == f"apt-get install linux-headers-{RELEASE}"
    with pytest.raises(CapabilityError, match=r"headers of kernel .* not found"):
        install(stub, RELEASE, root=machine.root)


@pytest.mark.parametrize(
    ("output", "tool"),
    [
        ("make[2]: gcc-12: No such file or directory\n", "gcc-12"),
        ("/bin/sh: 1: gcc: not found\nmake: *** Error 127\n", "gcc"),
        ("/usr/src/h/scripts/gcc-version.sh: line 30: clang: command not found\n", "clang"),
        ("/bin/sh: 1: scripts/basic/fixdep: not found\n", "scripts/basic/fixdep"),
    ],
)
def test_a_tool_that_make_does_not_find(output: str, tool: str) -> None:
    error = failure(output, RELEASE)
    assert isinstance(error, CapabilityError)
    assert f"{tool} not found" in error.message


def test_sources_are_those_given_or_those_of_the_installation(stub: Path, tmp_path: Path) -> None:
    assert find_sources(stub) == stub
    assert (find_sources(None) / "device.c").is_file()
    with pytest.raises(CapabilityError, match="has no Kbuild"):
        find_sources(tmp_path)
    assert package_version(stub) == "0.3.0"
    assert package_version(tmp_path) is None


def test_products_of_a_build_are_not_sources(stub: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy_sources(stub, copy)
    for name in ("nvi.o", "nvi.ko", "nvi.mod.c", ".nvi.o.cmd", "Module.symvers"):
        (stub / name).write_text("")
    assert same_sources(stub, copy)
    copy_sources(stub, tmp_path / "another")
    assert names(tmp_path / "another") == names(copy)
    (stub / "nvi.c").write_text("int x;")
    assert not same_sources(stub, copy)


KMOD = "modprobe: ERROR: could not insert 'nvi': "
BUSYBOX = "modprobe: can't load module nvi"


@pytest.mark.parametrize(
    ("complaint", "what"),
    [
        (KMOD + "Key was rejected by service", "a key that this kernel does not know"),
        (KMOD + "Required key not available", "a key that this kernel does not know"),
        (KMOD + "Exec format error", "built for another kernel"),
        (BUSYBOX + " (updates/nvi.ko): invalid module format", "built for another kernel"),
        (KMOD + "Unknown symbol in module, or unknown parameter", "it needs something"),
        (BUSYBOX + ": unknown symbol in module, or unknown parameter", "it needs something"),
        (KMOD + "Operation not permitted", "loading modules is forbidden"),
        ("modprobe: FATAL: Module nvi not found in directory /lib/modules/6.1", "modprobe does not find it"),
        (KMOD + "Input/output error", "Input/output error"),
        ("", "modprobe failed"),
    ],
)  # fmt: skip
def test_what_modprobe_says_becomes_one_sentence(complaint: str, what: str) -> None:
    sentence, hint = explain(complaint)
    assert what in sentence
    assert "\n" not in sentence
    assert hint


def test_a_wheel_carries_every_file_of_the_sources() -> None:
    """Patterns of setuptools: a file that none of them matches would be missed at the first build."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    carried = {path for patterns in listed.values() for pattern in patterns for path in ROOT.glob(pattern)}
    copy = shutil.ignore_patterns(*PRODUCTS)
    sources = {path for path in (ROOT / "kmod").rglob("*") if path.is_file() and not copy("", [path.name])}
    assert sources == carried
    for directory, patterns in listed.items():
        assert {str(Path(pattern).parent) for pattern in patterns} == {
            str(Path(directory).relative_to(SHARED.parent))
        }
