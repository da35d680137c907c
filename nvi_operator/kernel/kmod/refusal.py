"""Remembers until the next boot which nvi.ko the kernel refused to load, and what it said.

Else `auto` would choose a module again and again that is filed and cannot be loaded, for a signature that the kernel
does not know, say: only trying tells. A successful `modprobe nvi` makes this moot; another file at its place, too.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from nvi_operator.errors import NviError
from nvi_operator.store.directory import write_file

_FILE = Path("run/nvi-operator/module-refused.json")


def remember(path: Path, why: str, *, root: Path = Path("/")) -> None:
    """What cannot be written is not remembered: then the next pass tries again."""
    with suppress(OSError, NviError):
        write_file(root / _FILE, json.dumps({**_identity(path), "why": why}).encode())


def remembered(path: Path, *, root: Path = Path("/")) -> str:
    """Why this very file was refused; empty if it was not."""
    try:
        kept = json.loads((root / _FILE).read_text(encoding="utf-8"))
        why = kept.pop("why")
        return str(why) if kept == _identity(path) else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def forget(*, root: Path = Path("/")) -> None:
    with suppress(OSError):
        (root / _FILE).unlink(missing_ok=True)


def _identity(path: Path) -> dict[str, object]:
    found = path.stat()
    return {"path": str(path), "modified": found.st_mtime_ns, "size": found.st_size}
