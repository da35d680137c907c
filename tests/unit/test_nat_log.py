"""The NAT log: what conntrack's messages mean, and what is written when lines come too fast or the disk is full."""

from __future__ import annotations

import csv
import errno
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from socket import inet_pton
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvi_operator.daemon.nat_log import LogFile, NatLog
from nvi_operator.errors import NviError
from nvi_operator.kernel.netlink import nat_events
from nvi_operator.kernel.netlink.nat_events import dropped, nat_event
from nvi_operator.nft.wire.attributes import NESTED, attribute
from nvi_operator.state.nat_event import NatEvent
from nvi_operator.view.nat_log import HEADER, Format, flow_line

NEW, DESTROY = 0x100, 0x102
SNAT = 1 << 4


def nest(kind: int, *parts: bytes) -> bytes:
    return attribute(NESTED | kind, b"".join(parts))


def ends(kind: int, source: str, sport: int, destination: str, dport: int, protocol: int, zone: bytes = b"") -> bytes:
    family = 10 if ":" in source else 2
    first = 3 if family == 10 else 1
    ip = nest(1, *(attribute(first + n, inet_pton(family, a)) for n, a in enumerate((source, destination))))
    ports = (attribute(2, struct.pack("!H", sport)), attribute(3, struct.pack("!H", dport)))
    return nest(kind, ip, nest(2, attribute(1, bytes([protocol])), *(ports if protocol in (6, 17) else ())), zone)


def message(kind: int, *parts: bytes, status: int = SNAT) -> bytes:
    body = b"\2\0\0\0" + b"".join(parts) + attribute(12, b"\0\0\0\7") + attribute(3, struct.pack("!I", status))
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


TCP = (
    ends(1, "192.168.1.10", 50894, "192.0.2.80", 443, 6),
    ends(2, "192.0.2.80", 443, "203.0.113.2", 1024, 6),
)
UDP6 = (ends(1, "fd00:1::10", 53, "2001:db8::1", 53, 17), ends(2, "2001:db8::1", 53, "2001:db8:a::2", 53, 17))


def shown(data: bytes, form: Format = "json") -> dict[str, object]:
    event = nat_event(data)
    assert event is not None
    line = flow_line(event, 1000.5, form)
    return json.loads(line) if form == "json" else next(csv.DictReader([HEADER, line]))


def test_a_flow_begins_with_both_of_its_tuples() -> None:
    assert shown(message(NEW, *TCP)) == {
        "time": "1970-01-01T00:16:40.500Z",
        "event": "start",
        "id": "00000007",
        "protocol": "tcp",
        "source": "192.168.1.10",
        "sourcePort": 50894,
        "destination": "192.0.2.80",
        "destinationPort": 443,
        "newSource": "203.0.113.2",
        "newSourcePort": 1024,
        "newDestination": "192.0.2.80",
        "newDestinationPort": 443,
        "zone": 0,
    }
    found = shown(message(NEW, *UDP6), "csv")
    assert (found["protocol"], found["source"], found["newSource"]) == ("udp", "fd00:1::10", "2001:db8:a::2")


def test_its_end_has_what_conntrack_counted() -> None:
    counters = [
        nest(k, attribute(1, struct.pack("!Q", k)), attribute(2, struct.pack("!Q", 100 * k))) for k in (9, 10)
    ]
    times = nest(20, *(attribute(k, struct.pack("!Q", k * 1_500_000_000)) for k in (1, 2)))
    found = shown(message(DESTROY, *TCP, *counters, times))
    assert [found[key] for key in ("event", "packets", "bytes", "seconds")] == ["end", 19, 1900, 1.5]
    found = shown(message(DESTROY, *TCP))
    assert [found[key] for key in ("packets", "bytes", "seconds")] == [None, None, None]
    assert shown(message(DESTROY, *TCP), "csv")["packets"] == ""


LEFT_OUT = {"status": message(NEW, *TCP, status=8), "kind": message(0x101, *TCP), "half": message(NEW, TCP[0])}


@pytest.mark.parametrize("data", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_not_translated_is_left_out(data: bytes) -> None:
    assert nat_event(data) is None


def test_protocols_without_ports_and_tenants_are_told_as_well() -> None:
    zone = attribute(3, b"\0\2")
    ping = ends(1, "192.168.1.10", 0, "192.0.2.80", 0, 1, zone), ends(2, "192.0.2.80", 0, "203.0.113.2", 0, 1)
    found = shown(message(NEW, *ping))
    assert [found[key] for key in ("protocol", "sourcePort", "newSource", "zone")] == ["icmp", 0, "203.0.113.2", 2]
    assert shown(message(NEW, *TCP, attribute(18, b"\0\3")))["zone"] == 3


_PORTS = st.integers(0, 65535)
_HALVES = st.sampled_from([4, 6]).flatmap(
    lambda v: st.lists(st.tuples(st.ip_addresses(v=v), _PORTS, st.ip_addresses(v=v), _PORTS), min_size=2, max_size=2)
)


@given(_HALVES, st.sampled_from([NEW, DESTROY]), st.sampled_from([6, 17]))
def test_the_short_way_means_what_the_long_one_means(halves: list[tuple[Any, ...]], kind: int, protocol: int) -> None:
    tuples = [
        ends(n, str(a), sport, str(b), dport, protocol) for n, (a, sport, b, dport) in enumerate(halves, start=1)
    ]
    made = message(kind, *tuples)
    assert nat_event(made) == nat_events._slowly(made, kind)


def test_the_kernel_tells_what_a_socket_lost() -> None:
    text = (
        "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
        "0000000000000000 0   4711       00000111 0        0        0     2        9        20001\n"
        "0000000000000000 12  4711       00000005 0        0        0     2        31       20002\n"
    )
    assert (dropped(text, 4711), dropped(text, 1)) == (31, 0)


# --------------------------------------------------------------------------- the file


class Reports:
    def __init__(self, *rounds: tuple[list[NatEvent], int]) -> None:
        self._rounds = list(rounds)

    def fileno(self) -> int:
        return -1

    def read(self) -> tuple[list[NatEvent], int]:
        return self._rounds.pop(0) if self._rounds else ([], 0)


def event() -> NatEvent:
    found = nat_event(message(NEW, *TCP))
    assert found is not None
    return found


def log(path: Path, *rounds: tuple[list[NatEvent], int], say: Callable[[str], None] = lambda _: None) -> NatLog:
    return NatLog(Reports(*rounds), LogFile(path, "json", say), "json", say, lambda: 1000.0)


def lines(path: Path) -> list[str]:
    return [json.loads(line)["event"] for line in path.read_text().splitlines()]


def test_what_was_lost_stands_where_it_is_missing_and_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    one = log(tmp_path / "log", ([event()], 0), ([event()], 12), ([event()], 0), say=said.append)
    while one.step():
        pass
    assert lines(tmp_path / "log") == ["start", "start", "lost", "start"]
    assert said == ["12 lines lost, 12 since the start: they came faster than they are written"]


def test_after_a_rotation_lines_go_into_the_new_file(tmp_path: Path) -> None:
    one = log(tmp_path / "log", ([event()], 0), ([event()], 0))
    one.step()
    (tmp_path / "log").rename(tmp_path / "log.1")
    one.reopen()
    one.step()
    assert (lines(tmp_path / "log.1"), lines(tmp_path / "log")) == (["start"], ["start"])
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o640


def test_a_full_disk_loses_lines_and_not_the_log() -> None:
    said: list[str] = []
    one = log(Path("/dev/full"), ([event()] * 3, 0), ([], 0), say=said.append)
    one.step()
    one.step()
    assert said == [
        "/dev/full: writing: No space left on device: lines are lost until it succeeds",
        "3 lines lost, 3 since the start: they came faster than they are written",
    ]


def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    file = LogFile(path, "json", lambda _: None)
    write, room = os.write, [15]

    def on_a_full_disk(fileno: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(fileno, data[: room[0]])
        room[0] -= done
        return done

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", on_a_full_disk)
        file.write(["first line\n", "second line\n"])
    file.write(["third line\n"])
    assert (path.read_text(), file.unwritten) == ("first line\nseco\nthird line\n", 1)


def test_csv_has_its_header_once(tmp_path: Path) -> None:
    for _ in range(2):
        LogFile(tmp_path / "log", "csv", lambda _: None).close()
    assert (tmp_path / "log").read_text() == HEADER


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NviError, match="opening"):
        LogFile(tmp_path / "no/log", "json", lambda _: None)
