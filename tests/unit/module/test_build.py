"""Building and filing: against real headers where this machine has some, and what is said where something lacks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nvi_operator.errors import BuildError, CapabilityError
from nvi_operator.kernel.module.build import built, failure
from nvi_operator.kernel.module.install import install, uninstall
from nvi_operator.kernel.module.load import explain
from nvi_operator.kernel.module.sources import copy_sources, find_sources, package_version, same_sources
from nvi_operator.kernel.module.survey import survey_module
from nvi_operator.state.module import DkmsBuild
from tests.unit.module.machines import RELEASE, Machine, ko

HEADERS = sorted(path.parent.parent for path in Path("/lib/modules").glob("*/build/Makefile"))
real = pytest.mark.skipif(not HEADERS, reason="no kernel's headers are installed")

STUB = """\
#include <linux/module.h>
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
MODULE_ALIAS("rtnl-link-nvi");
"""


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """A module that does nothing, in the way of kmod/."""
    directory = tmp_path / "kmod"
    directory.mkdir()
    (directory / "nvi.c").write_text(STUB)
    (directory / "Kbuild").write_text("obj-m := nvi.o\n")
    (directory / "dkms.conf").write_text('PACKAGE_NAME="nvi"\nPACKAGE_VERSION="0.1.0"\n')
    return directory


@pytest.fixture
def guest(tmp_path: Path) -> Machine:
    """A machine that runs the kernel whose headers are here."""
    machine = Machine(tmp_path / "root")
    for tree in HEADERS:
        machine.write(f"lib/modules/{tree.name}/modules.order", "")
        machine.write(f"lib/modules/{tree.name}/modules.builtin", "")
        (machine.root / "lib/modules" / tree.name / "build").symlink_to((tree / "build").resolve())
    return machine


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*"))


# --------------------------------------------------------------------------- with real headers


@real
@pytest.mark.parametrize("tree", HEADERS, ids=lambda tree: tree.name)
def test_a_build_leaves_nothing_and_is_read_as_modinfo_reads_it(stub: Path, tree: Path) -> None:
    before = names(stub)
    with built(stub, tree.name) as made:
        path = Path(made.path)
        told = [
            subprocess.run(["modinfo", "-F", key, path], capture_output=True, text=True, check=True).stdout.split()[0]
            for key in ("version", "vermagic", "srcversion")
        ]
        assert told == [made.version, made.release, made.source] == ["0.1.0", tree.name, made.source]
        assert made.signed is False
    assert not path.exists()
    assert names(stub) == before


@real
def test_a_source_that_does_not_compile_is_told_in_the_compilers_words(stub: Path) -> None:
    (stub / "nvi.c").write_text(STUB + "#error it is broken\n")
    with pytest.raises(BuildError, match="#error it is broken") as caught, built(stub, HEADERS[0].name):
        pass
    assert len(str(caught.value).splitlines()) <= 16
    assert "nvi.c:5" in str(caught.value), "the file as the user knows it"


@real
def test_a_header_that_is_not_there_is_no_lacking_tool(stub: Path) -> None:
    (stub / "nvi.c").write_text('#include "compat.h"\n' + STUB)
    with pytest.raises(BuildError, match=r"compat\.h: No such file"), built(stub, HEADERS[0].name):
        pass


@real
@pytest.mark.parametrize("lacking", ["gcc", "make"])
def test_a_tool_that_lacks_is_named(
    stub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for path in Path("/usr/bin").iterdir():
        if lacking not in path.name:
            (tools / path.name).symlink_to(path)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(CapabilityError, match=f"there is no {lacking}"), built(stub, HEADERS[0].name):
        pass


@real
def test_what_is_filed_by_hand_is_found_by_depmod_and_filed_once(stub: Path, guest: Machine) -> None:
    release = HEADERS[0].name
    for changed in (True, False):
        done = install(stub, release, dkms=False, root=guest.root)
        assert done.changed is changed
        assert done.file.path == str(guest.root / "lib/modules" / release / "updates/nvi.ko")
        assert survey_module(guest.root, release).filed == done.file
    (stub / "nvi.c").write_text(STUB + 'MODULE_AUTHOR("somebody");\n')
    assert install(stub, release, dkms=False, root=guest.root).changed, "other sources"
    assert list(uninstall(guest.root)) == [done.file.path]
    assert survey_module(guest.root, release).filed is None
    assert list(uninstall(guest.root)) == []


@real
def test_a_signature_of_the_owners_survives_a_second_install(stub: Path, guest: Machine) -> None:
    path = Path(install(stub, HEADERS[0].name, dkms=False, root=guest.root).file.path)
    path.write_bytes(path.read_bytes() + b"~Module signature appended~\n")
    assert install(stub, HEADERS[0].name, dkms=False, root=guest.root).file.signed


DKMS = """\
#!/bin/sh -e
# What dkms does to its tree, and to the kernel's.
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
def dkms(guest: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    guest.write("var/lib/dkms/nvi/keep", "")
    module = guest.write("made.ko", ko(release=HEADERS[0].name))
    guest.write("bin/dkms", DKMS.format(root=guest.root, module=module)).chmod(0o755)
    monkeypatch.setenv("PATH", f"{guest.root / 'bin'}:{os.environ['PATH']}")
    return guest


@real
def test_dkms_gets_the_sources_once_and_anew_when_they_change(stub: Path, dkms: Machine) -> None:
    release = HEADERS[0].name
    assert [install(stub, release, root=dkms.root).changed for _ in range(2)] == [True, False]
    assert survey_module(dkms.root).dkms_builds == (DkmsBuild("0.1.0", release, "installed"),)
    (stub / "nvi.c").write_text(STUB + "#error not this one\n")
    with pytest.raises(BuildError):
        install(stub, release, root=dkms.root)
    assert survey_module(dkms.root).dkms_builds, "what worked is still there"
    (stub / "nvi.c").write_text(STUB + "/* better */\n")
    assert install(stub, release, root=dkms.root).changed
    calls = (dkms.root / "calls").read_text().splitlines()
    once = ["add nvi/0.1.0", f"install nvi/0.1.0 -k {release}"]
    assert calls == [*once, "remove nvi/0.1.0 --all", *once]
    assert same_sources(stub, dkms.root / "usr/src/nvi-0.1.0")
    assert len(list(uninstall(dkms.root))) == 1
    assert not (dkms.root / "usr/src/nvi-0.1.0").exists()


@real
def test_dkms_is_left_alone_when_that_is_wanted(stub: Path, dkms: Machine) -> None:
    install(stub, HEADERS[0].name, dkms=False, root=dkms.root)
    assert not (dkms.root / "calls").exists()


@real
def test_a_failing_dkms_is_told_in_its_words(stub: Path, dkms: Machine) -> None:
    dkms.write("bin/dkms", "#!/bin/sh\necho 'Error! no luck' >&2\nexit 3\n")
    with pytest.raises(CapabilityError, match=r"dkms add: Error! no luck\n  hint: .*--no-dkms"):
        install(stub, HEADERS[0].name, root=dkms.root)


# --------------------------------------------------------------------------- without


def test_without_headers_the_hint_installs_them(stub: Path, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "root")
    with pytest.raises(CapabilityError, match="no headers") as caught, built(stub, RELEASE, machine.root):
        pass
    assert caught.value.hint == f"apt-get install linux-headers-{RELEASE}"
    with pytest.raises(CapabilityError, match="no headers"):
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
    assert f"there is no {tool}" in error.message


def test_sources_are_those_given_or_those_that_came_along(stub: Path, tmp_path: Path) -> None:
    assert find_sources(stub) == stub
    assert (find_sources(None) / "nvi.c").is_file()
    with pytest.raises(CapabilityError, match="has no Kbuild"):
        find_sources(tmp_path)
    assert package_version(stub) == "0.1.0"
    assert package_version(tmp_path) is None


def test_products_of_a_build_are_not_sources(stub: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy_sources(stub, copy)
    for name in ("nvi.o", "nvi.ko", "nvi.mod.c", ".nvi.o.cmd", "Module.symvers"):
        (stub / name).write_text("")
    assert same_sources(stub, copy)
    copy_sources(stub, tmp_path / "another")
    assert names(tmp_path / "another") == names(copy)
    (stub / "nvi.c").write_text("")
    assert not same_sources(stub, copy)


@pytest.mark.parametrize(
    ("complaint", "what"),
    [
        ("modprobe: ERROR: could not insert 'nvi': Key was rejected by service", "a key that this kernel does not know"),
        ("modprobe: ERROR: could not insert 'nvi': Required key not available", "a key that this kernel does not know"),
        ("modprobe: ERROR: could not insert 'nvi': Exec format error", "built for another kernel"),
        ("modprobe: can't load module nvi (updates/nvi.ko): invalid module format", "built for another kernel"),
        ("modprobe: ERROR: could not insert 'nvi': Unknown symbol in module, or unknown parameter", "it needs something"),
        ("modprobe: can't load module nvi: unknown symbol in module, or unknown parameter", "it needs something"),
        ("modprobe: ERROR: could not insert 'nvi': Operation not permitted", "loading modules is forbidden"),
        ("modprobe: FATAL: Module nvi not found in directory /lib/modules/6.1", "modprobe does not find it"),
        ("modprobe: ERROR: could not insert 'nvi': Input/output error", "Input/output error"),
        ("", "modprobe failed"),
    ],
)  # fmt: skip
def test_what_modprobe_says_becomes_one_sentence(complaint: str, what: str) -> None:
    sentence, hint = explain(complaint)
    assert what in sentence
    assert "\n" not in sentence
    assert hint
