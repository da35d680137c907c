"""Records until the next boot which nvi.ko the kernel refused to load, and its message.

Without it `auto` would choose, again and again, an installed module that cannot be loaded, for instance because the
kernel does not know its signature: only trying tells. A successful `modprobe nvi` or another file ends the record.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from nvi_operator.errors import NviError
from nvi_operator.store.directory import write_file

_FILE = Path("run/nvi-operator/module-refused.json")


def record_refusal(path: Path, why: str, *, root: Path = Path("/")) -> None:
    """Best effort: without the record the next reconcile tries again."""
    with suppress(OSError, NviError):
        write_file(root / _FILE, json.dumps({**_identity(path), "why": why}).encode(), lasting=False)


def recorded_refusal(path: Path, *, root: Path) -> str:
    """Why this file was refused; empty if it was not."""
    try:
        kept = json.loads((root / _FILE).read_text(encoding="utf-8"))
        why = kept.pop("why")
        return str(why) if kept == _identity(path) else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def forget_refusal(*, root: Path = Path("/")) -> None:
    with suppress(OSError):
        (root / _FILE).unlink(missing_ok=True)


def _identity(path: Path) -> dict[str, object]:
    found = path.stat()
    return {"path": str(path), "modified": found.st_mtime_ns, "size": found.st_size}
