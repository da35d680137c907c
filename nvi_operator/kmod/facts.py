"""The kernel module on a machine, as found, and what decides whether it can be loaded. Pure.

`kernel/kmod/survey.py` finds it, `kmod/verdict.py` judges it.
"""

from __future__ import annotations

from typing import Literal

from nvi_operator.dataclass import dataclass

Enforced = Literal["", "module.sig_enforce", "lockdown"]


@dataclass(frozen=True)
class ModuleFile:
    """One nvi.ko. None in a field: the file does not have it, or could not be read."""

    path: str
    version: str | None = None
    release: str | None = None  # of the kernel that it was built for: the first word of its vermagic
    source: str | None = None  # srcversion: a checksum of the sources
    signed: bool | None = None


@dataclass(frozen=True)
class DkmsBuild:
    """One version in DKMS, for one kernel; `release` is empty where only the sources are there."""

    version: str
    release: str = ""
    state: Literal["added", "built", "installed"] = "added"


@dataclass(frozen=True)
class ModuleFacts:
    """The module on one machine. The defaults are those of a kernel that takes modules and has no nvi."""

    release: str = ""  # of the running kernel
    takes_modules: bool = True  # CONFIG_MODULES
    locked: bool = False  # sysctl kernel.modules_disabled
    loaded: bool = False
    loaded_version: str | None = None
    built_in: bool = False
    installed: ModuleFile | None = None  # the file that modprobe would load
    other_kernels: tuple[str, ...] = ()  # for which it is installed
    dkms: bool = False  # is the command there?
    dkms_builds: tuple[DkmsBuild, ...] = ()
    headers: bool = False
    enforced: Enforced = ""  # what requires signatures
    secure_boot: bool | None = None  # None: no UEFI, or unknown
    may_load: bool = False  # CAP_SYS_MODULE
    on_demand: bool = False  # does the kernel call modprobe for a link of an unknown kind?
    refused: str = ""  # why the kernel refused to load this file since boot
    distribution: tuple[str, ...] = ()  # ID and ID_LIKE of os-release(5)
