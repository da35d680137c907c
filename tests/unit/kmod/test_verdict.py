"""Can the module be used? Every obstacle has a name, a reason and a remedy."""

from __future__ import annotations

from typing import Any

import pytest

from nvi_operator.kmod.facts import DkmsBuild, ModuleFacts, ModuleFile
from nvi_operator.kmod.verdict import headers_command, is_too_old, judge

HERE, OTHER = "6.12.1-amd64", "6.1.0-9-amd64"


def ko(**changes: Any) -> ModuleFile:
    return ModuleFile(**{"path": "/x/nvi.ko", "version": "0.3.0", "release": HERE, "signed": False, **changes})


def facts(**changes: Any) -> ModuleFacts:
    """A Debian machine with headers, where nvictl may load modules."""
    usual = {"release": HERE, "headers": True, "may_load": True, "on_demand": True, "distribution": ("debian",)}
    return ModuleFacts(**{**usual, **changes})


INSTALLED = (DkmsBuild("0.3.0", OTHER, "installed"),)


@pytest.mark.parametrize(
    ("changes", "case", "why", "todo"),
    [
        pytest.param({"loaded": True, "loaded_version": "0.3.0"}, "loaded", "nvi 0.3.0 is loaded", "", id="loaded"),
        pytest.param({"loaded": True, "loaded_version": "1.0"}, "loaded", "1.0", "", id="newer"),
        pytest.param({"loaded": True}, "loaded", "unknown version", "", id="loaded, version unknown"),
        pytest.param({"loaded": True, "takes_modules": False}, "loaded", "", "", id="built in, with a version"),
        pytest.param({"built_in": True}, "built-in", "built into", "", id="built in"),
        pytest.param({"installed": ko()}, "loadable", "can be loaded", "", id="installed"),
        pytest.param({"installed": ko(), "may_load": False}, "loadable", "", "", id="the kernel loads it on demand"),
        pytest.param({"installed": ko(), "on_demand": False}, "loadable", "", "", id="nvictl loads it"),
        pytest.param({"installed": ko(version=None, release=None, signed=None)}, "loadable", "", "", id="unreadable"),
        pytest.param({"installed": ko(signed=True), "enforced": "lockdown"}, "loadable", "", "", id="signed"),
        pytest.param({"takes_modules": False}, "no-modules", "CONFIG_MODULES", "", id="no modules"),
        pytest.param({"locked": True}, "locked", "modules_disabled is 1", "modules-load.d", id="locked"),
        pytest.param({"locked": True, "loaded": True}, "loaded", "", "", id="locked, but loaded before"),
        pytest.param({}, "absent", "no nvi module", "nvictl module install", id="absent"),
        pytest.param({"headers": False}, "absent", "", f"apt-get install linux-headers-{HERE}", id="no headers"),
        pytest.param({"enforced": "lockdown"}, "absent", "", "mokutil", id="absent, to be signed"),
        pytest.param(
            {"other_kernels": (OTHER,)}, "other-kernel", f"installed for {OTHER} only, and this is {HERE}", "install",
            id="installed for another kernel",
        ),
        pytest.param(
            {"dkms_builds": INSTALLED, "dkms": True}, "other-kernel", OTHER, f"dkms autoinstall -k {HERE}",
            id="DKMS has it for another kernel",
        ),
        pytest.param({"installed": ko(release=OTHER)}, "other-kernel", f"for {OTHER}", "install", id="vermagic"),
        pytest.param({"installed": ko(version="0.1.0")}, "too-old", "0.1.0", "module install", id="installed old"),
        pytest.param(
            {"loaded": True, "loaded_version": "0.1.0"}, "too-old", "0.1.0 is loaded", "nvictl module install",
            id="loaded old",
        ),
        pytest.param(
            {"installed": ko(), "enforced": "module.sig_enforce"}, "unsigned", "module.sig_enforce", "mokutil",
            id="unsigned",
        ),
        pytest.param({"installed": ko(), "refused": "bad key"}, "refused", "bad key", "modprobe nvi", id="refused"),
        pytest.param({"installed": ko(), "refused": "x", "loaded": True}, "loaded", "", "", id="refused once"),
        pytest.param(
            {"installed": ko(), "may_load": False, "on_demand": False}, "not-permitted", "CAP_SYS_MODULE",
            "modules-load.d", id="nothing may load it",
        ),
    ],
)  # fmt: skip
def test_each_state_of_the_module_has_a_reason_and_a_remedy(
    changes: dict[str, Any], case: str, why: str, todo: str
) -> None:
    verdict = judge(facts(**changes))
    assert verdict.case == case
    assert why in verdict.why
    assert todo in "\n".join(verdict.todo)
    assert verdict.usable is (case in ("loaded", "built-in", "loadable"))
    assert verdict.usable or verdict.todo or case == "no-modules", "there is always a remedy"


def test_a_loaded_module_is_replaced_only_when_the_gateway_is_down() -> None:
    old = {"loaded": True, "loaded_version": "0.1.0"}
    assert judge(facts(**old)).todo[:2] == ("nvictl module install", "nvictl down && rmmod nvi")
    assert judge(facts(**old, headers=False)).todo[0] == f"apt-get install linux-headers-{HERE}"
    assert judge(facts(**old, installed=ko())).todo[0] == "nvictl down && rmmod nvi", (
        "the new one is installed already"
    )


def test_headers_come_before_the_build_that_needs_them() -> None:
    todo = judge(facts(headers=False, dkms=True, dkms_builds=INSTALLED)).todo
    assert todo == (f"apt-get install linux-headers-{HERE}", f"dkms autoinstall -k {HERE}")


@pytest.mark.parametrize(
    ("distribution", "words"),
    [
        (("ubuntu", "debian"), "apt-get"),
        (("rocky", "rhel", "centos", "fedora"), f"dnf install kernel-devel-{HERE}"),
        (("opensuse-leap", "suse", "opensuse"), "zypper"),
        (("manjaro", "arch"), "pacman"),
        (("guix",), f"/lib/modules/{HERE}/build"),
    ],
)
def test_headers_are_installed_as_the_distribution_does(distribution: tuple[str, ...], words: str) -> None:
    assert words in headers_command(distribution, HERE)


@pytest.mark.parametrize(
    ("version", "old"),
    [("0.3.0", False), ("0.3", False), ("0.2.99", True), ("0.10.0", False), ("1", False), (None, False), ("", False)],
)
def test_versions_are_compared_as_numbers(version: str | None, old: bool) -> None:
    assert is_too_old(version) is old
