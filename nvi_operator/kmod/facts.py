"""What was found of the kernel module on a machine, and of what decides whether it can be loaded. Pure.

`kernel/kmod/survey.py` finds it, `kmod/verdict.py` judges it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Enforced = Literal["", "module.sig_enforce", "lockdown"]


@dataclass(frozen=True)
class ModuleFile:
    """One nvi.ko. None in a field: the file does not say, or could not be read."""

    path: str
    version: str | None = None
    release: str | None = None  # of the kernel that it was built for; the first word of its vermagic
    source: str | None = None  # srcversion: a checksum of the sources
    signed: bool | None = None


@dataclass(frozen=True)
class DkmsBuild:
    """What DKMS has of one version, for one kernel; `release` is empty where there are sources only."""

    version: str
    release: str = ""
    state: Literal["added", "built", "installed"] = "added"


@dataclass(frozen=True)
class ModuleFacts:
    """The module on one machine. The defaults are those of a kernel that takes modules and has none of ours."""

    release: str = ""  # of the running kernel
    takes_modules: bool = True  # CONFIG_MODULES
    locked: bool = False  # sysctl kernel.modules_disabled
    loaded: bool = False
    loaded_version: str | None = None
    built_in: bool = False
    filed: ModuleFile | None = None  # where modprobe would take it from
    other_kernels: tuple[str, ...] = ()  # for which it is filed
    dkms: bool = False  # is the command there?
    dkms_builds: tuple[DkmsBuild, ...] = ()
    headers: bool = False
    enforced: Enforced = ""  # what demands signatures
    secure_boot: bool | None = None  # None: no UEFI, or it does not say
    may_load: bool = False  # CAP_SYS_MODULE
    on_demand: bool = False  # does the kernel call modprobe when a link of an unknown kind is asked for?
    refused: str = ""  # what the kernel said the last time that this file was to be loaded since boot
    distribution: tuple[str, ...] = ()  # ID and ID_LIKE of os-release(5)
