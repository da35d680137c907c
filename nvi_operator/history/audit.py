"""The audit log: one line of JSON for each thing that was tried or decided. Only ever appended to.

It says less than the history and is kept for longer: nothing here removes a line (packaging/logrotate has a rule). A
line that a power cut left torn stays as it is, and the next one begins after it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nvi_operator.events.moment import iso
from nvi_operator.history.revision import Revision
from nvi_operator.store.directory import file_errors, open_file

NAME = "audit.jsonl"


class AuditLog:
    """`directory` is this gateway's own, below `/var/lib/nvi-operator`."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME

    def append(self, entry: Mapping[str, Any]) -> None:
        """On disk when this returns. Raises KernelError."""
        with file_errors(f"{self.path}: writing the audit log"):
            fd = open_file(self.path, os.O_RDWR | os.O_APPEND)
            try:
                size = os.fstat(fd).st_size
                torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
                os.write(fd, b"\n" * torn + json.dumps(entry, separators=(",", ":")).encode() + b"\n")
                os.fsync(fd)
            finally:
                os.close(fd)


def entry_of(revision: Revision, outcome: str, wall: float) -> dict[str, Any]:
    """What is told of a revision. `outcome`: what came of it, or was decided; `wall` in seconds since 1970."""
    asked, origin = revision.asked, revision.origin
    return {
        "time": iso(wall),
        "gateway": revision.gateway,
        "revision": revision.number or None,
        "outcome": outcome,
        "action": revision.action,
        "repeats": revision.of,
        "uid": asked.uid,
        "pid": asked.pid,
        "session": asked.session,
        "command": asked.command,
        "steps": revision.steps,
        "seconds": round(revision.seconds, 6),
        "error": revision.error or None,
        "commit": origin.commit if origin else None,
        "signer": origin.signer if origin else None,
    }
