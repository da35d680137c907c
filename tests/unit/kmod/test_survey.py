"""What is found on a machine: in trees of the tests."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
from pathlib import Path

import pytest

from nvi_operator.kernel.kmod.modinfo import read_module_file
from nvi_operator.kernel.kmod.refusal import forget_refusal, record_refusal
from nvi_operator.kernel.kmod.survey import survey_module
from nvi_operator.kmod.facts import DkmsBuild, ModuleFacts, ModuleFile
from nvi_operator.kmod.verdict import judge
from tests.unit.kmod.machines import RELEASE, Machine, ko


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def seen(machine: Machine) -> ModuleFacts:
    return survey_module(machine.root, RELEASE)


def test_a_machine_without_it(machine: Machine) -> None:
    facts = seen(machine)
    assert (facts.takes_modules, facts.locked, facts.loaded, facts.built_in, facts.installed) == (
        True, False, False, False, None,
    )  # fmt: skip
    assert (facts.on_demand, facts.headers, facts.enforced, facts.secure_boot) == (True, False, "", None)
    assert facts.distribution == ("raspbian", "debian")
    assert judge(facts).case == "absent"


def test_a_loaded_module_has_its_version(machine: Machine) -> None:
    machine.load("0.0.7")
    assert (seen(machine).loaded, seen(machine).loaded_version) == (True, "0.0.7")


def test_an_installed_module_is_found_by_depmods_index_and_read(machine: Machine) -> None:
    path = machine.install(ko())
    assert seen(machine).installed == ModuleFile(str(path), "0.3.0", RELEASE, "ABCD", signed=False)


def test_a_file_that_depmod_does_not_list_is_not_installed(machine: Machine) -> None:
    machine.write(f"lib/modules/{RELEASE}/updates/nvi.ko", ko())
    assert seen(machine).installed is None


def test_only_the_path_of_a_missing_listed_file_is_known(machine: Machine) -> None:
    path = machine.install(ko())
    path.unlink()
    assert seen(machine).installed == ModuleFile(str(path))


def test_a_module_built_into_the_kernel(machine: Machine) -> None:
    machine.write(f"lib/modules/{RELEASE}/modules.builtin", "kernel/a.ko\nkernel/drivers/net/nvi.ko\n")
    assert seen(machine).built_in


def test_other_kernels_that_have_it(machine: Machine) -> None:
    machine.install(ko(release="6.1.0-9-amd64"), release="6.1.0-9-amd64")
    assert seen(machine).other_kernels == ("6.1.0-9-amd64",)


def test_a_kernel_without_modules(machine: Machine) -> None:
    shutil.rmtree(machine.root / "proc")
    assert judge(seen(machine)).case == "no-modules"


@pytest.mark.parametrize(
    ("path", "content", "field", "value"),
    [
        ("proc/sys/kernel/modules_disabled", "1\n", "locked", True),
        ("proc/sys/kernel/modprobe", "\n", "on_demand", False),
        ("sys/module/module/parameters/sig_enforce", "Y\n", "enforced", "module.sig_enforce"),
        ("sys/module/module/parameters/sig_enforce", "N\n", "enforced", ""),
        ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n", "enforced", "lockdown"),
        ("sys/kernel/security/lockdown", "[none] integrity confidentiality\n", "enforced", ""),
        (f"lib/modules/{RELEASE}/build/Makefile", "", "headers", True),
        (
            "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
            "\x06\0\0\0\x01",
            "secure_boot",
            True,
        ),
        (
            "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
            "\x06\0\0\0\0",
            "secure_boot",
            False,
        ),
    ],
)
def test_other_facts_that_decide(machine: Machine, path: str, content: str, field: str, value: object) -> None:
    machine.write(path, content)
    assert getattr(seen(machine), field) == value


def test_the_versions_that_dkms_has_are_found(machine: Machine) -> None:
    dkms = machine.root / "var/lib/dkms/nvi"
    machine.write("var/lib/dkms/nvi/0.1.0/source/dkms.conf", "")
    machine.write("var/lib/dkms/nvi/0.3.0/6.1.0-9-amd64/x86_64/module/nvi.ko", ko())
    machine.write(f"var/lib/dkms/nvi/0.3.0/{RELEASE}/x86_64/module/nvi.ko.zst", b"")
    os.symlink("0.3.0/6.1.0-9-amd64/x86_64", dkms / "kernel-6.1.0-9-amd64-x86_64")
    assert seen(machine).dkms_builds == (
        DkmsBuild("0.1.0"),
        DkmsBuild("0.3.0", "6.1.0-9-amd64", "installed"),
        DkmsBuild("0.3.0", RELEASE, "built"),
    )


def test_a_refusal_is_recorded_for_one_file_only(machine: Machine) -> None:
    path = machine.install(ko())
    record_refusal(path, "bad key", root=machine.root)
    assert judge(seen(machine)).case == "refused"
    path.write_bytes(ko(signed=True))
    assert judge(seen(machine)).case == "loadable"
    record_refusal(path, "bad key", root=machine.root)
    forget_refusal(root=machine.root)
    assert judge(seen(machine)).case == "loadable"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"why": 1}'])
def test_a_damaged_record_is_ignored(machine: Machine, text: str) -> None:
    machine.install(ko())
    machine.write("run/nvi-operator/module-refused.json", text)
    assert seen(machine).refused == ""


# --------------------------------------------------------------------------- .ko files


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_compressed_files_are_read(machine: Machine, suffix: str, pack: object) -> None:
    machine.install(pack(ko(signed=True)), f"updates/nvi.ko{suffix}")  # type: ignore[operator]
    installed = seen(machine).installed
    assert installed is not None
    assert (installed.version, installed.release, installed.signed) == ("0.3.0", RELEASE, True)


def test_files_of_zstd_are_read_by_its_command(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write("bin/zstd", '#!/bin/sh\n[ "$1 $2" = "-qdc --" ] && tail -n +2 "$3"\n').chmod(0o755)
    monkeypatch.setenv("PATH", f"{machine.root / 'bin'}:{os.environ['PATH']}")
    machine.install(b"packed\n" + ko(), "updates/dkms/nvi.ko.zst")
    installed = seen(machine).installed
    assert installed is not None
    assert installed.version == "0.3.0"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("nvi.ko", b""),
        ("nvi.ko", b"no ELF file"),
        ("nvi.ko", ko()[:200]),
        ("nvi.ko.xz", b"broken"),
        ("nvi.ko.gz", b"broken"),
        ("nvi.ko.zst", b"broken"),
    ],
)
def test_a_broken_file_has_no_metadata(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert read_module_file(tmp_path / name) == ModuleFile(str(tmp_path / name))
