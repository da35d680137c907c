"""The control socket: what it answers, to whom, and that no peer can stop the loop."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nvi_operator.daemon.control.client import Client, connect
from nvi_operator.daemon.control.place import ControlPlace
from nvi_operator.daemon.control.protocol import Request, socket_path
from nvi_operator.daemon.control.server import ControlServer
from nvi_operator.daemon.control.streams import LONGEST_REQUEST, MOST_WAITING, PATIENCE, Connection, Peer, Streams
from nvi_operator.errors import NviError
from nvi_operator.events.event import Note
from nvi_operator.events.record import EventLog


class Daemon:
    """One without a gateway: it does what the loop does for its socket. Time passes by `later` only."""

    def __init__(self, directory: Path, most: int = 1100) -> None:
        self.time = 0.0
        self.notes: list[str] = []
        self.reconciled = 0
        self.history = EventLog()
        self.streams = Streams(lambda: self.time, most)
        self.place = ControlPlace(self.notes.append, directory, "no-such-group")
        answers: dict[str, Callable[[Request], Any]] = {
            "paused": lambda request: {"paused": {}},
            "large": lambda request: "x" * 3_000_000,
        }
        self.server = ControlServer(self.streams, self.history, answers, {"reconcile": self._reconcile})
        self.streams.listen(self.place.listener, self.server)

    def _reconcile(self, request: Request) -> None:
        self.reconciled += 1

    def later(self, seconds: float) -> None:
        self.time += seconds
        self.streams.step()

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(5)
        sock.connect(str(self.place.path))
        self.streams.step()
        return sock

    def ask(self, sock: socket.socket, *lines: bytes) -> list[Any]:
        """The answers, one for each line."""
        sock.sendall(b"".join(line + b"\n" for line in lines))
        received = b""
        while received.count(b"\n") < len(lines):
            self.streams.step()
            sock.setblocking(False)
            try:
                received += sock.recv(1 << 20)
            except BlockingIOError:
                continue
        return [json.loads(line) for line in received.splitlines()]

    def close(self) -> None:
        self.streams.close()
        self.place.close()


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="nvi-") as made:  # short: sun_path has 108 bytes
        yield Path(made) / "run"


@pytest.fixture
def daemon(directory: Path) -> Iterator[Daemon]:
    made = Daemon(directory)
    yield made
    made.close()


def is_closed(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        while sock.recv(1 << 20):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


# --------------------------------------------------------------------------- the language


def test_requests_are_answered_in_their_order_with_their_ids(daemon: Daemon) -> None:
    with daemon.connect() as sock:
        assert daemon.ask(
            sock, b'{"request": "paused", "id": 1}', b'{"request": "paused", "id": "b", "more": 1}'
        ) == [
            {"protocol": 1, "id": 1, "result": {"paused": {}}},
            {"protocol": 1, "id": "b", "result": {"paused": {}}},
        ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"hello", "not a line of JSON"),
        (b"[" * 4000, "not a line of JSON"),
        (b"[1]", "expected an object"),
        (b'{"request": 7}', "expected an object"),
        (b'{"request": "no", "id": 3}', "request no: not known to this daemon"),
        (b'{"request": "paused", "protocol": 2}', "protocol 2: this daemon speaks protocol 1"),
        (b'{"request": "paused", "id": []}', "id: expected a number or a string"),
        (b'{"request": "subscribe", "last": -1}', "last: expected a number from 0 on"),
        (b"\xff\xfe", "not a line of JSON"),
    ],
)
def test_a_wrong_request_gets_an_error_and_the_connection_stays(daemon: Daemon, line: bytes, message: str) -> None:
    with daemon.connect() as sock:
        wrong, right = daemon.ask(sock, line, b'{"request": "paused"}')
        assert message in wrong["error"]["message"]
        assert "result" in right


def test_only_a_trusted_user_may_change_anything(daemon: Daemon) -> None:
    for uid, done in ((1000, 0), (0, 1)):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            connection = Connection(theirs, Peer(1, uid, uid), time.monotonic)
            connection.received += b'{"request": "reconcile", "id": 1}\n'
            assert daemon.server.serve(connection)
            answer = json.loads(ours.recv(4096))
            assert ("error" in answer, daemon.reconciled) == (not done, done)
    assert "hint" in answer or answer["result"] is None


def test_a_subscriber_gets_the_last_events_and_then_each_new_one(daemon: Daemon) -> None:
    for number in range(3):
        daemon.history.add(Note(note=f"old {number}"))
    with daemon.connect() as sock:
        (answer,) = daemon.ask(sock, b'{"request": "subscribe", "last": 2}')
        assert [event["text"] for event in answer["result"]["last"]] == ["old 1", "old 2"]
        daemon.history.add(Note(note="new"))
        line = json.loads(sock.recv(4096))
        assert (line["protocol"], line["event"]["number"], line["event"]["text"]) == (1, 4, "new")


# --------------------------------------------------------------------------- peers that behave badly


def test_a_subscriber_that_reads_nothing_is_dropped_and_the_others_hear_everything(daemon: Daemon) -> None:
    with daemon.connect() as stuck, daemon.connect() as good:
        for sock in (stuck, good):
            daemon.ask(sock, b'{"request": "subscribe"}')
        heard, began = 0, time.monotonic()
        for number in range(4000):
            daemon.history.add(Note(note=f"{number} {'x' * 1000}"))
            daemon.streams.step()
            good.setblocking(False)
            heard += good.recv(1 << 20).count(b"\n")
        assert time.monotonic() - began < 10
        assert heard == 4000
        assert len(daemon.streams) == 1
        assert is_closed(stuck)


def test_an_answer_that_is_not_read_costs_its_own_bytes_and_ends_after_a_while(daemon: Daemon) -> None:
    with daemon.connect() as sock:
        sock.sendall(b'{"request": "large"}\n' * 20)
        for _ in range(50):
            daemon.streams.step()
        ((connection, _),) = daemon.streams._connections.values()
        assert len(connection.waiting) < 3_100_000, "the second is not answered before the first is read"
        daemon.later(PATIENCE + 1)
        assert len(daemon.streams) == 0


def test_an_answer_that_is_read_slowly_arrives(daemon: Daemon) -> None:
    with daemon.connect() as sock:
        sock.sendall(b'{"request": "large"}\n')
        received = bytearray()
        while not received.endswith(b"\n"):
            daemon.later(PATIENCE / 20)
            sock.setblocking(False)
            try:
                received += sock.recv(65536)
            except BlockingIOError:
                continue
        assert len(json.loads(received)["result"]) == 3_000_000


def test_a_request_that_is_never_completed_ends_after_a_while_and_an_idle_peer_may_stay(daemon: Daemon) -> None:
    with daemon.connect() as half, daemon.connect() as idle:
        half.sendall(b'{"request": "pau')
        daemon.later(0)
        daemon.later(PATIENCE / 2)
        half.sendall(b"s")  # a byte now and then buys no time
        daemon.later(PATIENCE / 2 + 1)
        assert is_closed(half)
        daemon.later(3600)
        assert "result" in daemon.ask(idle, b'{"request": "paused"}')[0]


def test_a_request_without_an_end_is_refused(daemon: Daemon) -> None:
    with daemon.connect() as sock:
        sock.sendall(b"x" * (LONGEST_REQUEST * 3))
        for _ in range(5):
            daemon.streams.step()
        assert b"at most 4096 bytes" in sock.recv(4096)
        assert len(daemon.streams) == 0


def test_a_peer_that_closes_its_half_gets_its_answers(daemon: Daemon) -> None:
    with daemon.connect() as sock:
        sock.sendall(b'{"request": "paused", "id": 1}\n{"request": "paused", "id": 2}\n')
        sock.shutdown(socket.SHUT_WR)
        for _ in range(5):
            daemon.streams.step()
        assert sock.recv(4096).count(b"\n") == 2
        assert sock.recv(1) == b""


def test_a_thousand_connections_are_served_and_root_gets_in_beside_them(daemon: Daemon) -> None:
    socks = [daemon.connect() for _ in range(1000)]
    assert len(daemon.streams) == 1000
    for sock in socks:
        sock.sendall(b'{"request": "subscribe"}\n')
    while daemon.streams.next_due() < 0 or daemon.streams._epoll.poll(0):
        daemon.streams.step()
    began = time.monotonic()
    daemon.history.add(Note(note="hello"))
    assert time.monotonic() - began < 0.5
    assert all(b'"hello"' in sock.recv(4096) for sock in socks)
    assert daemon.ask(daemon.connect(), b'{"request": "paused"}')
    for sock in socks:
        sock.close()
    for _ in range(10):
        daemon.streams.step()
    assert len(daemon.streams) <= 1


def test_one_more_than_are_allowed_is_told_so(directory: Path) -> None:
    daemon = Daemon(directory, most=2)
    with daemon.connect(), daemon.connect(), daemon.connect() as third:
        assert b"too many connections" in third.recv(4096)
        assert len(daemon.streams) == 2
    daemon.close()


def test_the_limits_are_what_the_document_says() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs/control-socket.md").read_text(encoding="utf-8")
    for said in (f"{LONGEST_REQUEST} bytes", f"{MOST_WAITING // 1024} KiB", f"{PATIENCE:g} s"):
        assert said in text


# --------------------------------------------------------------------------- the place


def test_the_socket_is_for_root_only_where_there_is_no_group(daemon: Daemon) -> None:
    found = daemon.place.path.stat()
    assert (found.st_mode & 0o777, found.st_uid) == (0o600, os.geteuid())
    assert daemon.place.path.parent.stat().st_mode & 0o777 == 0o711


def test_what_a_killed_daemon_left_is_replaced(directory: Path) -> None:
    killed = Daemon(directory)
    killed.place.listener.close()
    assert connect(killed.place.path) is None, "there is a socket, and no daemon"
    new = Daemon(directory)
    assert "result" in new.ask(new.connect(), b'{"request": "paused"}')[0]
    new.close()
    assert not list(directory.iterdir())
    assert connect(new.place.path) is None


def test_a_client_gets_results_and_errors(daemon: Daemon) -> None:
    ours, theirs = socket.socketpair()
    with theirs, Client(ours) as client:
        theirs.sendall(b'{"protocol":1,"event":{"n":1}}\n{"protocol":1,"id":null,"result":{"a":1}}\n')
        theirs.sendall(
            b'{"protocol":1,"id":null,"error":{"message":"no","hint":"try"}}\n{"protocol":1,"event":{"n":2}}\n'
        )
        assert client.ask("x") == {"a": 1}
        with pytest.raises(NviError, match="nvictl run: no") as raised:
            client.ask("y")
        assert raised.value.hint == "try"
        theirs.close()
        assert [event["n"] for event in client.follow()] == [1, 2]


def test_the_path_is_that_of_the_network_namespace() -> None:
    assert socket_path().name.startswith("control-")
