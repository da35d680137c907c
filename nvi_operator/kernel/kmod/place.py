"""Puts a file in place atomically: no reader sees half of it."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from nvi_operator.errors import CapabilityError


def place(file: Path, directory: Path) -> Path:
    """Copy `file` into `directory`, which is created. Raises CapabilityError where that fails."""
    target = directory / file.name
    scratch = directory / f".{file.name}.new"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, scratch)
        scratch.chmod(0o644)
        scratch.replace(target)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        hint = _ROOT if isinstance(error, PermissionError) else ""
        raise CapabilityError(f"{target}: write: {error.strerror or error}", hint=hint) from error
    return target


def need_to_write(directory: Path) -> None:
    """Raises CapabilityError before any work that would be in vain."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        raise CapabilityError(f"{directory}: write: permission denied", hint=_ROOT)


_ROOT = "run as root, or use sudo"
