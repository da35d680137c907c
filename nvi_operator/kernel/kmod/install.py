"""Files nvi.ko where modprobe finds it: by DKMS, which builds it anew for every kernel to come, or by hand.

Both ways twice over change nothing: a file that was made from the same sources stays, with the signature that its
owner may have given it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

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
class Filed:
    """What is filed now, and whether it was before."""

    file: ModuleFile
    changed: bool


def install(source: Path, release: str = "", *, dkms: bool = True, root: Path = Path("/")) -> Filed:
    """For the running kernel, or for `release`. Raises CapabilityError, and BuildError where it does not compile."""
    release = release or os.uname().release
    need_headers(release, root)
    need_to_write(root / TREE / release)
    if dkms and shutil.which("dkms"):
        return _by_dkms(source, release, root)
    return _by_hand(source, release, root)


def _by_hand(source: Path, release: str, root: Path) -> Filed:
    before = survey_module(root, release).filed
    with built(source, release, root) as made:
        if before and (before.release, before.source) == (made.release, made.source):
            return Filed(before, changed=False)
        target = place(Path(made.path), root / TREE / release / _UPDATES)
    _depmod(release, root)
    file = _filed(release, root)
    if file.path != str(target):
        raise CapabilityError(
            f"module nvi: filed as {target}: modprobe would take {file.path}",
            hint="nvictl module uninstall, and again",
        )
    return Filed(file, changed=True)


def _by_dkms(source: Path, release: str, root: Path) -> Filed:
    version = package_version(source)
    if version is None:
        raise CapabilityError(
            f"module nvi: wanted to give it to DKMS: {source} has no dkms.conf",
            hint="nvictl module install --no-dkms",
        )
    kept = root / DKMS_SOURCES / f"{NAME}-{version}"
    same = same_sources(source, kept)
    known = [b for b in survey_module(root, release).dkms_builds if b.version == version]
    if same and any(b.release == release and b.state == "installed" for b in known):
        return Filed(_filed(release, root), changed=False)
    with built(source, release, root):
        pass  # only what compiles takes the place of what is there
    if known and not same:
        _dkms("remove", version, "--all")
    if not same:
        shutil.rmtree(kept, ignore_errors=True)
        copy_sources(source, kept)
    if not (known and same):
        _dkms("add", version)
    for kernel in (release, *(() if same else _others(known, release, root))):
        _dkms("install", version, "-k", kernel)
    _remove_by_hand(release, root)
    return Filed(_filed(release, root), changed=True)


def _others(builds: Sequence[DkmsBuild], release: str, root: Path) -> Iterator[str]:
    """The kernels that lost theirs with the sources that went; those that are still in use have headers."""
    for build in builds:
        headers = root / TREE / build.release / "build/Makefile"
        if build.state == "installed" and build.release != release and headers.exists():
            yield build.release


def _dkms(action: str, version: str, *more: str) -> None:
    code, output, complaint = run(["dkms", action, f"{NAME}/{version}", *more], seconds=900)
    if code:
        words = (complaint.strip() or output.strip()).splitlines()
        raise CapabilityError(
            f"module nvi: dkms {action}: {words[-1] if words else f'ended with {code}'}",
            hint="nvictl module install --no-dkms does without it",
        )


def uninstall(root: Path = Path("/")) -> Iterator[str]:
    """Takes away what `install` filed, for every kernel; says of each what it was. What others filed stays."""
    need_to_write(root / TREE)
    for version in sorted({build.version for build in survey_module(root).dkms_builds}):
        _dkms("remove", version, "--all")
        kept = root / DKMS_SOURCES / f"{NAME}-{version}"
        shutil.rmtree(kept, ignore_errors=True)
        yield f"{kept}, and what DKMS built of it"
    for tree in sorted((root / TREE).glob("*")):
        yield from _remove_by_hand(tree.name, root)


def _remove_by_hand(release: str, root: Path) -> list[str]:
    directory = root / TREE / release / _UPDATES
    found = [*directory.glob(f"{NAME}.ko"), *directory.glob(f"{NAME}.ko.*")]
    for file in found:
        file.unlink()
    if found:
        _depmod(release, root)
    return [str(file) for file in found]


def _filed(release: str, root: Path) -> ModuleFile:
    file = survey_module(root, release).filed
    if file is None:
        raise CapabilityError(
            f"module nvi: filed for {release}: depmod does not list it", hint=f"depmod {release} may say why"
        )
    return file


def _depmod(release: str, root: Path) -> None:
    # -b only where it is needed: busybox has it, too, but joins the paths in a way of its own.
    where = [] if root == Path("/") else ["-b", str(root)]
    code, _, complaint = run(["depmod", *where, release])
    if code:
        raise CapabilityError(f"module nvi: depmod {release}: {complaint.strip() or code}", hint="install kmod")
