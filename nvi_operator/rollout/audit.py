"""Tells what was tried and decided: to the audit log, and to the journal with fields.

`journalctl NVI_GATEWAY=edge`, `journalctl NVI_OUTCOME=returned`. The daemon's log (`daemon/journal.py`) tells more,
but of the daemon alone; this is also told of commands.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nvi_operator.errors import KernelError
from nvi_operator.history.audit import AuditLog, entry_of
from nvi_operator.history.revision import Requester, Revision

JOURNAL = Path("/run/systemd/journal/socket")
_BAD = ("refused", "reverted", "failed", "returned")


def tell(directory: Path, revision: Revision, outcome: str, journal: Path = JOURNAL) -> str:
    """Why it could not be written; empty where it was."""
    entry = entry_of(revision, outcome, time.time())
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(journal_entry(entry), str(journal))
    try:
        AuditLog(directory).append(entry)
    except KernelError as error:
        return error.message
    return ""


def tell_decision(directory: Path, gateway: str, who: Requester, outcome: str, text: str = "") -> str:
    """Tell of a decision that is about no single revision."""
    decided = Revision(0, time.time(), gateway, outcome, who, error=text)
    return tell(directory, decided, outcome)


def journal_entry(entry: Mapping[str, Any]) -> bytes:
    """An entry in the native protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/."""
    outcome, number, error = entry["outcome"], entry["revision"], entry["error"]
    entry = {name: value for name, value in entry.items() if name != "time"}  # the journal has its own
    what = f"revision {number}" if number else entry["action"]
    text = f"{entry['gateway'] or 'gateway'}: {what}: {outcome}" + (f": {error}" if error else "")
    fields = {
        "MESSAGE": text,
        "PRIORITY": "4" if outcome in _BAD else "5",
        "SYSLOG_IDENTIFIER": "nvictl",
        **{
            f"NVI_{name.upper()}": str(value) for name, value in entry.items() if value is not None and name != "time"
        },
    }
    return b"".join(_field(name.encode(), value.encode(errors="replace")) for name, value in fields.items())


def _field(name: bytes, value: bytes) -> bytes:
    """Always with its length: a value may have several lines."""
    return b"%s\n%s%s\n" % (name, struct.pack("<Q", len(value)), value)
