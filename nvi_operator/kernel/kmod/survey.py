"""Finds the module on this machine. Reads files only, changes nothing, never raises.

`root` is for tests; PATH and the capabilities are those of this process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from nvi_operator.kernel.capabilities import capabilities
from nvi_operator.kernel.kmod.index import SYS, TREE, find_module
from nvi_operator.kernel.kmod.modinfo import read_module_file
from nvi_operator.kernel.kmod.refusal import recorded_refusal
from nvi_operator.kmod.facts import DkmsBuild, Enforced, ModuleFacts

NAME = "nvi"
_DKMS = Path("var/lib/dkms") / NAME
# The variable of the UEFI specification, in the kernel's efivarfs: 4 bytes of attributes, 1 of value.
_SECURE_BOOT = Path("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")


def survey_module(root: Path = Path("/"), release: str = "") -> ModuleFacts:
    """Everything that decides whether the running kernel, or `release`, can use the module."""
    release = release or os.uname().release
    tree = root / TREE / release
    loaded = (root / SYS / NAME).is_dir()
    path = find_module(tree, NAME)
    return ModuleFacts(
        release=release,
        takes_modules=(root / "proc/modules").exists(),
        locked=_text(root / "proc/sys/kernel/modules_disabled") == "1",
        loaded=loaded,
        loaded_version=_text(root / SYS / NAME / "version") or None,
        built_in=find_module(tree, NAME, "modules.builtin") is not None,
        installed=read_module_file(path) if path else None,
        other_kernels=tuple(_other_kernels(root / TREE, release)),
        dkms=any(os.access(f"{directory}/dkms", os.X_OK) for directory in os.get_exec_path()),
        dkms_builds=tuple(_dkms_builds(root / _DKMS)),
        headers=(tree / "build" / "Makefile").exists(),
        enforced=_enforced(root),
        secure_boot=_secure_boot(root),
        may_load="CAP_SYS_MODULE" in capabilities(),
        on_demand=bool(_text(root / "proc/sys/kernel/modprobe")),
        refused=recorded_refusal(path, root=root) if path else "",
        distribution=tuple(_distribution(root)),
    )


def _other_kernels(trees: Path, release: str) -> Iterator[str]:
    for tree in sorted(trees.glob("*")):
        if tree.name != release and find_module(tree, NAME):
            yield tree.name


def _dkms_builds(tree: Path) -> Iterator[DkmsBuild]:
    """From DKMS's tree: VERSION/RELEASE/ARCH/module is built, and kernel-RELEASE-ARCH links to what is installed.

    `dkms status` prints the same, but its format has changed over the years, and it takes a tenth of a second.
    """
    installed = {os.path.realpath(link) for link in tree.glob("kernel-*")}
    for version in sorted(path for path in tree.glob("*") if path.is_dir() and not path.is_symlink()):
        builds = [path for path in sorted(version.glob("*/*")) if any(path.glob(f"module/{NAME}.ko*"))]
        if not builds:
            yield DkmsBuild(version.name)
        for path in builds:
            yield DkmsBuild(
                version.name, path.parent.name, "installed" if os.path.realpath(path) in installed else "built"
            )


def _enforced(root: Path) -> Enforced:
    if _text(root / SYS / "module/parameters/sig_enforce") == "Y":
        return "module.sig_enforce"
    # "none [integrity] confidentiality": both levels require signatures, kernel_lockdown(7).
    level = re.search(r"\[(\w+)\]", _text(root / "sys/kernel/security/lockdown"))
    return "lockdown" if level and level[1] != "none" else ""


def _secure_boot(root: Path) -> bool | None:
    try:
        return (root / _SECURE_BOOT).read_bytes()[4:5] == b"\x01"
    except OSError:
        return None


def _distribution(root: Path) -> Iterator[str]:
    values = dict(line.partition("=")[::2] for line in _text(root / "etc/os-release").splitlines())
    for key in ("ID", "ID_LIKE"):
        yield from values.get(key, "").strip("\"'").split()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
