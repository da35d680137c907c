"""Where the log goes: into the journal, with fields, where it reads the output anyway; elsewhere to standard output.

The native protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. One datagram is one entry, so that an event of
several lines stays together, and `journalctl NVI_EVENT=uplink-down` finds it.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from nvi_operator.events.event import event_fields
from nvi_operator.events.record import Record

SOCKET = Path("/run/systemd/journal/socket")
IDENTIFIER = "nvictl"
LONGEST = 8192  # characters of a variable in an environment


def log_sink(environment: Mapping[str, str] = os.environ, path: Path = SOCKET) -> Callable[[Record], None]:
    """What to give each record to."""
    if not _is_read_by_the_journal(environment.get("JOURNAL_STREAM", "")):
        return _print
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setblocking(False)

    def send(record: Record) -> None:
        try:
            sock.sendto(entry(record), str(path))
        except OSError:  # no listener, a slow one, or too long for a datagram
            _print(record)

    return send


def entry(record: Record) -> bytes:
    """One entry, in the native protocol."""
    event = record.event
    fields = {"MESSAGE": event.text, "PRIORITY": str(event.level.value), "SYSLOG_IDENTIFIER": IDENTIFIER}
    return b"".join(_field(name, value) for name, value in {**fields, **variables(record)}.items() if value)


def variables(record: Record) -> dict[str, str]:
    """The event as `NVI_*` variables; a list is one line for each."""
    event = record.event
    found = {
        "NVI_EVENT": event.kind,
        "NVI_NUMBER": str(record.number),
        "NVI_GATEWAY": event.gateway,
        "NVI_REVISION": event.revision,
    }
    for name, value in event_fields(event).items():
        found[f"NVI_{_upper(name)}"] = "\n".join(value) if isinstance(value, list) else str(value)
    return found


def environment(record: Record) -> dict[str, str]:
    """The variables for a process, with a summary. The kernel takes 128 KiB for each, and no NUL."""
    found = {**variables(record), "NVI_SUMMARY": record.event.summary}
    return {name: value.replace("\0", "")[:LONGEST] for name, value in found.items()}


def _field(name: str, text: str) -> bytes:
    value = text.encode(errors="replace")
    if b"\n" not in value:
        return b"%s=%s\n" % (name.encode(), value)
    return b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(value)), value)


def _upper(camel: str) -> str:
    return "".join(f"_{sign}" if sign.isupper() else sign.upper() for sign in camel)


def _print(record: Record) -> None:
    print(record.event.text, flush=True)


def _is_read_by_the_journal(stream: str) -> bool:
    """Does `$JOURNAL_STREAM` name our standard output, by device and inode (systemd.exec(5))?"""
    try:
        found = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return False
    return stream == f"{found.st_dev}:{found.st_ino}"
