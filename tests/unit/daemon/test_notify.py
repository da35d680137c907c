"""systemd's protocol, with a socket that listens."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nvi_operator.daemon import sdnotify as notify
from nvi_operator.daemon.sdnotify import Notifier


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        yield sock


def test_systemd_hears_of_the_start_of_each_state_and_of_the_end(listener: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": listener.getsockname()})
    notifier.ready("in sync:\n  all of it")
    assert listener.recv(999) == b"READY=1\nSTATUS=in sync: all of it"
    notifier.status("drift")
    assert listener.recv(999) == b"STATUS=drift"
    notifier.alive()
    assert listener.recv(999) == b"WATCHDOG=1"
    notifier.stopping()
    assert listener.recv(999).startswith(b"STOPPING=1\n")


def test_a_start_that_takes_long_asks_for_more_time_and_stops_asking(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "EXTENSION", 0.03)
    notifier = Notifier({"NOTIFY_SOCKET": listener.getsockname()})
    with notifier.reconciling(started=False):
        for _ in range(3):
            assert listener.recv(999).startswith(b"EXTEND_TIMEOUT_USEC=30000")
    notifier.ready("in sync")
    heard = [listener.recv(999)]
    while not heard[-1].startswith(b"READY=1"):
        heard.append(listener.recv(999))
    listener.settimeout(0.1)
    with pytest.raises(TimeoutError):
        listener.recv(999)


def test_a_reconcile_that_takes_long_feeds_the_watchdog_but_not_for_ever(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "LONGEST_RECONCILE", 0.06)
    notifier = Notifier({"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": "40000"})
    with notifier.reconciling(started=True):
        assert [listener.recv(999) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.recv(999)


def test_a_service_manager_that_does_not_listen_is_asked_for_nothing() -> None:
    before = threading.active_count()
    with Notifier({}).reconciling(started=False):
        assert threading.active_count() == before


def test_systemd_is_told_at_an_abstract_address_as_well() -> None:
    name = f"nvi-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.settimeout(5)
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).alive()
        assert sock.recv(99) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all"], ids=["unset", "no listener"])
def test_without_a_listener_it_is_silent(address: str) -> None:
    Notifier({"NOTIFY_SOCKET": address}).ready("x")


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
    ],
    ids=["off", "on", "for us", "for another", "nonsense"],
)
def test_how_often_the_watchdog_wants_to_hear(environment: dict[str, str], interval: float | None) -> None:
    assert Notifier(environment).interval == interval
