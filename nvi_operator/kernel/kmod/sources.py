"""Finds the sources of the module: in a checkout, where pip put them, or where DKMS keeps them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from nvi_operator.errors import CapabilityError

PROJECT = "nvi-operator"
DKMS_SOURCES = Path("usr/src")
_MARK = "dkms.conf"
SHARED = Path("share") / PROJECT / "kmod"
# What a manual build leaves.
PRODUCTS = ("*.o", "*.ko", "*.mod", "*.mod.c", ".*.cmd", "*.order", "Module.symvers", ".tmp_versions")


def find_sources(given: Path | None) -> Path:
    """The directory with Kbuild. Raises CapabilityError where there is none."""
    if given is not None:
        if not (given / "Kbuild").is_file():
            raise CapabilityError(
                f"module nvi: sources: {given} has no Kbuild",
                hint="name the directory kmod/ of the project",
            )
        return given
    for directory in _candidates():
        if (directory / "Kbuild").is_file():
            return directory
    raise CapabilityError("module nvi: sources not found", hint="name the directory kmod/ with --source DIR")


def _candidates() -> Iterator[Path]:
    yield Path(__file__).resolve().parents[3] / "kmod"
    yield from _installed()
    yield from sorted(Path("/", DKMS_SOURCES).glob("nvi-*"), reverse=True)


def _installed() -> Iterator[Path]:
    """Where the installation put them: below sys.prefix, or that of --user or --prefix."""
    try:
        listed = files(PROJECT) or []
    except PackageNotFoundError:
        return
    for file in listed:
        if file.name == "Kbuild" and Path(file.parent).match(f"*{SHARED}"):
            yield Path(str(file.locate())).resolve().parent


def copy_sources(source: Path, target: Path) -> None:
    """Raises CapabilityError where they cannot be read or written."""
    try:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*PRODUCTS), dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise CapabilityError(f"module nvi: copy {source} to {target}: {error}") from error


def same_sources(one: Path, other: Path) -> bool:
    """Do they hold the same files, apart from products of a build?"""
    return other.is_dir() and _contents(one) == _contents(other)


def _contents(directory: Path) -> dict[str, bytes]:
    ignored = shutil.ignore_patterns(*PRODUCTS)
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not ignored(str(path.parent), [path.name])
    }


def package_version(source: Path) -> str | None:
    """PACKAGE_VERSION of dkms.conf(8), by which DKMS identifies these sources."""
    try:
        text = (source / _MARK).read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r'^PACKAGE_VERSION="?([^"\n]+)"?', text, re.MULTILINE)
    return found[1] if found else None
