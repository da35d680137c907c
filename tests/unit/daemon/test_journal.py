"""The log in the journal, with fields, and elsewhere on standard output."""

from __future__ import annotations

import os
import socket
import struct
import sys
from pathlib import Path

import pytest

from nvi_operator.daemon.journal import entry, log_sink
from nvi_operator.events.event import Drift, InSync, UplinkDown
from nvi_operator.events.record import Record

DOWN = Record(7, 0.0, UplinkDown(gateway="edge", revision="a1b2c3d", uplink="isp-a", reason="no carrier"))


def parsed(data: bytes) -> dict[str, str]:
    """As systemd-journald reads an entry."""
    fields = {}
    while data:
        head, _, data = data.partition(b"\n")
        name, equals, value = head.partition(b"=")
        if not equals:
            (length,) = struct.unpack_from("<Q", data)
            value, data = data[8 : 8 + length], data[8 + length + 1 :]
        fields[name.decode()] = value.decode()
    return fields


def test_an_entry_has_what_to_search_for() -> None:
    assert parsed(entry(DOWN)) == {
        "MESSAGE": "edge: uplink isp-a: down: no carrier",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "nvictl",
        "NVI_EVENT": "uplink-down",
        "NVI_NUMBER": "7",
        "NVI_GATEWAY": "edge",
        "NVI_REVISION": "a1b2c3d",
        "NVI_UPLINK": "isp-a",
        "NVI_REASON": "no carrier",
    }


def test_an_event_of_several_lines_is_one_entry_and_no_line_of_it_becomes_a_field() -> None:
    event = Drift(gateway="edge", entries=("- x", "PRIORITY=0"), changed_by=("a\nMESSAGE=b",))
    fields = parsed(entry(Record(1, 0.0, event)))
    assert fields["MESSAGE"] == event.text
    assert fields["PRIORITY"] == "4"
    assert fields["NVI_CHANGED_BY"] == "a\nMESSAGE=b"


def test_it_goes_to_the_journal_only_where_the_journal_reads_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(path))
        journal.setblocking(False)
        monkeypatch.setattr(sys, "stdout", os.fdopen(os.dup(1), "w"))
        stdout = os.fstat(1)
        log_sink({}, path)(Record(1, 0.0, InSync(gateway="edge")))
        log_sink({"JOURNAL_STREAM": "1:2"}, path)(Record(1, 0.0, InSync(gateway="other")))
        assert capfd.readouterr().out.splitlines() == [
            "edge: nothing to change: in sync",
            "other: nothing to change: in sync",
        ]
        log = log_sink({"JOURNAL_STREAM": f"{stdout.st_dev}:{stdout.st_ino}"}, path)
        log(DOWN)
        assert capfd.readouterr().out == ""
        assert parsed(journal.recv(4096))["NVI_UPLINK"] == "isp-a"
    path.unlink()
    log(DOWN)
    assert capfd.readouterr().out == "edge: uplink isp-a: down: no carrier\n", "nothing is lost with the journal"
