"""Can this machine use the kernel module? If not: why, and what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.kmod.facts import ModuleFacts, ModuleFile

OLDEST = "0.3.0"  # the first with all attributes that kernel/kmod/device.py sends
GUIDE = "docs/how-to/kernel-module.md"

Case = Literal[
    "loaded",
    "built-in",
    "loadable",
    "no-modules",
    "locked",
    "absent",
    "other-kernel",
    "too-old",
    "unsigned",
    "refused",
    "not-permitted",
]
_IN_KERNEL: frozenset[Case] = frozenset({"loaded", "built-in"})
_INSTALLED_IN_VAIN: frozenset[Case] = frozenset({"other-kernel", "too-old", "unsigned", "refused", "not-permitted"})

_HEADERS = (
    ({"debian", "ubuntu"}, "apt-get install linux-headers-{release}"),
    ({"fedora", "rhel", "centos"}, "dnf install kernel-devel-{release}"),
    ({"suse", "opensuse"}, "zypper install kernel-default-devel"),
    ({"arch"}, "pacman -S linux-headers"),
)


@dataclass(frozen=True)
class ModuleVerdict:
    """`why` is a clause that follows "module nvi:" or "auto, and". `todo` has one line per step, a command that can
    be pasted or a comment; it is empty where there is nothing to do.
    """

    case: Case
    why: str
    todo: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        return self.in_kernel or self.case == "loadable"

    @property
    def in_kernel(self) -> bool:
        """Usable without loading anything."""
        return self.case in _IN_KERNEL

    @property
    def installed_in_vain(self) -> bool:
        """The module was installed here, and cannot be used as it is."""
        return self.case in _INSTALLED_IN_VAIN

    @property
    def hint(self) -> str:
        return "; ".join(line.removeprefix("# ") for line in self.todo)


def judge(facts: ModuleFacts) -> ModuleVerdict:
    """The first obstacle to a loaded module that is new enough, or that there is none."""
    if facts.loaded or facts.built_in:
        return _in_the_kernel(facts)
    if not facts.takes_modules:
        return ModuleVerdict("no-modules", "this kernel takes no modules (CONFIG_MODULES)")
    if facts.locked:
        return ModuleVerdict(
            "locked",
            "kernel.modules_disabled is 1: no module can be loaded until the next boot",
            ("# reboot, and load nvi before that is set: echo nvi > /etc/modules-load.d/nvi.conf",),
        )
    if facts.installed is None:
        return _not_installed(facts)
    return _installed(facts, facts.installed)


def _in_the_kernel(facts: ModuleFacts) -> ModuleVerdict:
    version = facts.loaded_version
    if is_too_old(version):
        installed = facts.installed is not None and not is_too_old(facts.installed.version)
        return ModuleVerdict(
            "too-old",
            f"nvi {version} is loaded, but {OLDEST} or newer is required",
            (
                *(() if installed else (*_headers(facts), "nvictl module install")),
                "nvictl down && rmmod nvi",
                "# then nvictl apply; from nvictl down until then the gateway forwards nothing",
            ),
        )
    if facts.built_in and not facts.loaded:
        return ModuleVerdict("built-in", "nvi is built into this kernel")
    return ModuleVerdict("loaded", f"nvi {version or 'of an unknown version'} is loaded")


def _not_installed(facts: ModuleFacts) -> ModuleVerdict:
    elsewhere = sorted({*facts.other_kernels, *(b.release for b in facts.dkms_builds if b.release)})
    build = f"dkms autoinstall -k {facts.release}" if facts.dkms and facts.dkms_builds else "nvictl module install"
    todo = (*_headers(facts), build, *_sign(facts))
    if elsewhere:
        return ModuleVerdict(
            "other-kernel", f"nvi is installed for {_and(elsewhere)} only, and this is {facts.release}", todo
        )
    return ModuleVerdict("absent", "this kernel has no nvi module", todo)


def _installed(facts: ModuleFacts, file: ModuleFile) -> ModuleVerdict:
    rebuild = (*_headers(facts), "nvictl module install")
    if file.release is not None and facts.release and file.release != facts.release:
        return ModuleVerdict(
            "other-kernel", f"{file.path} was built for {file.release}, and this is {facts.release}", rebuild
        )
    if is_too_old(file.version):
        return ModuleVerdict(
            "too-old", f"{file.path} is version {file.version}, but {OLDEST} or newer is required", rebuild
        )
    if file.signed is False and facts.enforced:
        return ModuleVerdict("unsigned", f"{file.path} is not signed, but {facts.enforced} requires it", _sign(facts))
    if facts.refused:
        return ModuleVerdict(
            "refused",
            f"the kernel refused to load {file.path}: {facts.refused}",
            ("modprobe nvi", f"# once that works nvi is used; meaning of the message: {GUIDE}"),
        )
    if not facts.may_load and not facts.on_demand:
        return ModuleVerdict(
            "not-permitted",
            "nvi is not loaded, and CAP_SYS_MODULE is missing",
            ("sudo modprobe nvi", "# and at each boot: echo nvi > /etc/modules-load.d/nvi.conf"),
        )
    return ModuleVerdict("loadable", f"nvi {file.version or 'of an unknown version'} can be loaded")


def _headers(facts: ModuleFacts) -> tuple[str, ...]:
    if facts.headers:
        return ()
    return (headers_command(facts.distribution, facts.release),)


def headers_command(distribution: Sequence[str], release: str) -> str:
    """The command that installs the headers of a kernel, by ID and ID_LIKE of os-release(5)."""
    for names, command in _HEADERS:
        if names & set(distribution):
            return command.format(release=release)
    return f"# install the headers of kernel {release}: /lib/modules/{release}/build must exist"


def _sign(facts: ModuleFacts) -> tuple[str, ...]:
    if not facts.enforced:
        return ()
    return (f"# sign nvi.ko with a key that the firmware knows (mokutil --import): {GUIDE}",)


def is_too_old(version: str | None) -> bool:
    """An unknown version is not too old: the kernel then refuses attributes that it does not accept."""
    return bool(version) and _numbers(version or "") < _numbers(OLDEST)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(word) for word in [*re.findall(r"\d+", version), 0, 0, 0][:3])


def _and(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
