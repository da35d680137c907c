"""Installs nvi.ko where modprobe finds it: with DKMS, which builds it for every later kernel as well, or without it.

Both are idempotent: a file built from the same sources stays, with a signature that its owner may have added.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import CapabilityError
from nvi_operator.kernel.inspect.process import run
from nvi_operator.kernel.kmod.build import built, need_headers
from nvi_operator.kernel.kmod.index import TREE
from nvi_operator.kernel.kmod.place import need_to_write, place
from nvi_operator.kernel.kmod.sources import DKMS_SOURCES, copy_sources, package_version, same_sources
from nvi_operator.kernel.kmod.survey import NAME, survey_module
from nvi_operator.kmod.facts import DkmsBuild, ModuleFile

_UPDATES = "updates"  # depmod.d(5): comes before the kernel's own directories


@dataclass(frozen=True)
class Installed:
    """The installed file, and whether this installation changed it."""

    file: ModuleFile
    changed: bool


def install(source: Path, release: str = "", *, dkms: bool = True, root: Path = Path("/")) -> Installed:
    """For the running kernel, or for `release`. Raises CapabilityError, and BuildError where it does not compile."""
    release = release or os.uname().release
    need_headers(release, root)
    need_to_write(root / TREE / release)
    if dkms and shutil.which("dkms"):
        return _with_dkms(source, release, root)
    return _without_dkms(source, release, root)


def _without_dkms(source: Path, release: str, root: Path) -> Installed:
    before = survey_module(root, release).installed
    with built(source, release, root) as made:
        if before and (before.release, before.source) == (made.release, made.source):
            return Installed(before, changed=False)
        target = place(Path(made.path), root / TREE / release / _UPDATES)
    _depmod(release, root)
    file = _installed(release, root)
    if file.path != str(target):
        raise CapabilityError(
            f"module nvi: install as {target}: modprobe would take {file.path}",
            hint="run nvictl module uninstall, then install again",
        )
    return Installed(file, changed=True)


def _with_dkms(source: Path, release: str, root: Path) -> Installed:
    version = package_version(source)
    if version is None:
        raise CapabilityError(
            f"module nvi: install with DKMS: {source} has no dkms.conf",
            hint="nvictl module install --no-dkms",
        )
    kept = root / DKMS_SOURCES / f"{NAME}-{version}"
    same = same_sources(source, kept)
    known = [b for b in survey_module(root, release).dkms_builds if b.version == version]
    if same and any(b.release == release and b.state == "installed" for b in known):
        return Installed(_installed(release, root), changed=False)
    with built(source, release, root):
        pass  # replace what is installed only with sources that compile
    if known and not same:
        _dkms("remove", version, "--all")
    if not same:
        shutil.rmtree(kept, ignore_errors=True)
        copy_sources(source, kept)
    if not (known and same):
        _dkms("add", version)
    for kernel in (release, *(() if same else _others(known, release, root))):
        _dkms("install", version, "-k", kernel)
    _remove_files(release, root)
    return Installed(_installed(release, root), changed=True)


def _others(builds: Sequence[DkmsBuild], release: str, root: Path) -> Iterator[str]:
    """Kernels whose module was removed with the old sources; those still in use have headers."""
    for build in builds:
        headers = root / TREE / build.release / "build/Makefile"
        if build.state == "installed" and build.release != release and headers.exists():
            yield build.release


def _dkms(action: str, version: str, *more: str) -> None:
    code, output, complaint = run(["dkms", action, f"{NAME}/{version}", *more], seconds=900)
    if code:
        words = (complaint.strip() or output.strip()).splitlines()
        raise CapabilityError(
            f"module nvi: dkms {action}: {words[-1] if words else f'exit code {code}'}",
            hint="nvictl module install --no-dkms does not use DKMS",
        )


def uninstall(root: Path = Path("/")) -> Iterator[str]:
    """Removes what `install` installed, for every kernel, and yields a description of each. Files of others stay."""
    need_to_write(root / TREE)
    for version in sorted({build.version for build in survey_module(root).dkms_builds}):
        _dkms("remove", version, "--all")
        kept = root / DKMS_SOURCES / f"{NAME}-{version}"
        shutil.rmtree(kept, ignore_errors=True)
        yield f"{kept}, and what DKMS built from it"
    for tree in sorted((root / TREE).glob("*")):
        yield from _remove_files(tree.name, root)


def _remove_files(release: str, root: Path) -> list[str]:
    directory = root / TREE / release / _UPDATES
    found = [*directory.glob(f"{NAME}.ko"), *directory.glob(f"{NAME}.ko.*")]
    for file in found:
        file.unlink()
    if found:
        _depmod(release, root)
    return [str(file) for file in found]


def _installed(release: str, root: Path) -> ModuleFile:
    file = survey_module(root, release).installed
    if file is None:
        raise CapabilityError(
            f"module nvi: install for {release}: depmod does not list it", hint=f"depmod {release} may say why"
        )
    return file


def _depmod(release: str, root: Path) -> None:
    # -b only where it is needed: busybox has it, but joins the paths differently.
    where = [] if root == Path("/") else ["-b", str(root)]
    code, _, complaint = run(["depmod", *where, release])
    if code:
        raise CapabilityError(f"module nvi: depmod {release}: {complaint.strip() or code}", hint="install kmod")
