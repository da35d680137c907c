"""Hooks: programs and web addresses that are told of events, and what becomes of those that are slow or fail."""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nvi_operator.cli.options import hook
from nvi_operator.daemon import child
from nvi_operator.daemon.backoff import Backoff
from nvi_operator.daemon.hooks import ATTEMPTS, QUEUE, SHOWN, EventHook, Hooks
from nvi_operator.events.event import GatewayEvent, InSync, UplinkDown
from nvi_operator.events.record import EventLog
from tests.lab.net import until
from tests.lab.processes import is_alive

DOWN = UplinkDown(gateway="edge", uplink="isp-a", reason="$(touch /tmp/no); \"'no carrier")


class Station:
    """Hooks as the loop calls them."""

    def __init__(self, *hooks: EventHook, time_limit: float = 5.0) -> None:
        self.history = EventLog()
        self.longest = 0.0
        self.hooks = Hooks(hooks, self.history, time_limit=time_limit, backoff=lambda: Backoff(first=0.01, cap=0.05))

    def tell(self, *events: GatewayEvent) -> None:
        for event in events:
            self.history.add(event)

    def until(self, condition: Callable[[], object], what: str) -> None:
        def stepped() -> bool:
            began = time.monotonic()
            self.hooks.step()
            self.longest = max(self.longest, time.monotonic() - began)
            return bool(condition())

        until(stepped, what, seconds=30)

    @property
    def failures(self) -> list[str]:
        return [record.event.text for record in self.history.last(500) if record.event.kind == "hook-failed"]


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    def made(script: str) -> str:
        path = tmp_path / "hook"
        path.write_text(f"#!/bin/sh\ncd {tmp_path}\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return made


def test_a_program_gets_the_event_as_json_and_in_its_environment_and_nothing_of_it_is_run(
    program: Callable[[str], str], tmp_path: Path
) -> None:
    station = Station(EventHook(program('cat > got; echo "$NVI_EVENT|$NVI_UPLINK|$NVI_REASON|$NVI_SUMMARY" > env')))
    station.tell(DOWN)
    station.until(lambda: (tmp_path / "env").exists() and (tmp_path / "env").read_text(), "the hook")
    found = json.loads((tmp_path / "got").read_text())
    assert (found["event"], found["uplink"], found["reason"]) == ("uplink-down", "isp-a", DOWN.reason)
    assert (tmp_path / "env").read_text() == f"uplink-down|isp-a|{DOWN.reason}|{DOWN.summary}\n"
    station.hooks.close()


def test_events_come_one_at_a_time_in_their_order_and_only_those_asked_for(
    program: Callable[[str], str], tmp_path: Path
) -> None:
    station = Station(EventHook(program('echo "$NVI_NUMBER" >> got'), frozenset({"uplink-down"})))
    station.tell(*[DOWN, InSync(gateway="edge")] * 5)
    station.until(lambda: (tmp_path / "got").exists() and len((tmp_path / "got").read_text().split()) == 5, "all")
    assert (tmp_path / "got").read_text().split() == ["1", "3", "5", "7", "9"]
    station.hooks.close()


def test_a_failure_is_tried_again_and_told_in_the_end(program: Callable[[str], str], tmp_path: Path) -> None:
    station = Station(EventHook(program("echo x >> tries; exit 3")))
    station.tell(DOWN)
    station.until(lambda: station.failures, "the report")
    assert len((tmp_path / "tries").read_text().split()) == ATTEMPTS
    assert station.failures == [
        f"hook {tmp_path}/hook: event 1 (uplink-down): exit code 3; gave up after {ATTEMPTS} attempts"
    ]
    station.hooks.step()
    assert station.hooks.next_due() == float("inf"), "it is not told of its own failure"
    station.hooks.close()


def test_what_a_program_prints_is_logged_line_by_line_and_moves_no_cursor(
    program: Callable[[str], str], capfd: pytest.CaptureFixture[str]
) -> None:
    hook = program("printf '\\033[2J\\nsent\\n'; echo refused >&2; exit 1")
    station = Station(EventHook(hook))
    station.tell(DOWN)
    station.until(lambda: station.failures, "the report")
    assert ": exit code 1: refused; gave up" in station.failures[0]
    assert (
        capfd.readouterr().err.splitlines()
        == [f"hook {hook}: {each}" for each in ("\\x1b[2J", "sent", "refused")] * ATTEMPTS
    )
    station.hooks.close()


@pytest.mark.parametrize("flood", ["yes", "while :; do echo y; done", "head -c 9999999 /dev/zero"])
def test_a_program_that_prints_without_end_fills_no_log(
    program: Callable[[str], str], capfd: pytest.CaptureFixture[str], flood: str
) -> None:
    station = Station(EventHook(program(f"{flood} 2> /dev/null")), time_limit=0.5)
    station.tell(DOWN)
    station.until(lambda: station.failures, "the report")
    lines = capfd.readouterr().err.splitlines()
    assert 0 < len(lines) <= SHOWN * ATTEMPTS
    assert max(map(len, lines)) < 1000
    station.hooks.close()


def test_a_program_gets_no_variables_but_those_of_the_event_and_a_few_of_the_daemon(
    program: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where Python changes its own locale, as it does in C."""
    for name in ("LANG", "LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    station = Station(EventHook(program("env > all; mv all env")))
    station.tell(DOWN)
    station.until((tmp_path / "env").exists, "the hook")
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert {name for name in names if not name.startswith("NVI_")} <= {"PATH", "TZ", "PWD", "OLDPWD"}
    station.hooks.close()


def test_a_program_that_hangs_is_ended_with_its_children_and_the_loop_never_waits(
    program: Callable[[str], str], tmp_path: Path
) -> None:
    """Children in sessions of their own, and those that their parent has left behind."""
    started = (
        "sleep 1000 & echo $! >> pids; setsid sh -c 'echo $$ >> pids; sleep 1000 & (sleep 1000 & echo $! >> pids)'"
    )
    station = Station(EventHook(program(f"{started} & (setsid sleep 1000 & echo $! >> pids); wait")), time_limit=0.5)
    station.tell(DOWN)
    station.until(lambda: station.failures, "the report")
    assert "not done within 0.5 s" in station.failures[0]
    assert len((tmp_path / "pids").read_text().split()) >= 4, (
        "a busy machine may not start all of them in time each time"
    )
    assert station.longest < 1.0
    for pid in (tmp_path / "pids").read_text().split():
        until(lambda pid=pid: not is_alive(int(pid)), "its child has ended")  # type: ignore[misc]
    station.hooks.close()


def test_no_program_is_killed_before_those_that_it_started(
    program: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel continues the stopped processes of a group that is orphaned."""
    station = Station(EventHook(program("sh -c 'sh -c \"sleep 1000 & : > ready; wait\" & wait' & wait")))
    station.tell(DOWN)
    station.until((tmp_path / "ready").exists, "the hook")
    killed, left = set[int](), []

    def noting(pid: int, number: signal.Signals) -> None:
        if number == signal.SIGKILL:
            left.append(set(child._descendants(pid)) - killed)
            killed.add(pid)
        os.kill(pid, number)

    monkeypatch.setattr(child, "_signal", noting)
    station.hooks.close()
    assert left == [set()] * 4


def test_a_full_queue_drops_the_oldest_and_counts_them(program: Callable[[str], str]) -> None:
    station = Station(EventHook(program("sleep 1000")))
    station.tell(DOWN)
    station.hooks.step()  # the first is being told
    station.tell(*[DOWN] * (QUEUE + 9))
    station.hooks.close()
    assert station.hooks._queues[0].dropped == 10
    assert [record.number for record in station.hooks._queues[0].records][:2] == [1, 12]


def test_a_program_that_is_not_there_is_a_failure_and_not_the_end(tmp_path: Path) -> None:
    station = Station(EventHook("/nowhere/at/all"))
    station.tell(DOWN)
    station.until(lambda: station.failures, "the report")
    assert "starting it: No such file or directory" in station.failures[0]
    station.hooks.close()


def test_a_web_address_is_posted_to_until_it_answers_well(tmp_path: Path) -> None:
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, body))
            self.send_response(503 if len(got) == 1 else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    station = Station(EventHook(f"http://127.0.0.1:{server.server_port}/in?token=secret"), time_limit=30.0)
    station.tell(DOWN)
    station.until(lambda: len(got) == 2 and not station.hooks._queues[0].records, "the second attempt")
    assert got[0] == got[1]
    assert got[0][0] == "/in?token=secret"
    assert json.loads(got[0][1])["uplink"] == "isp-a"
    assert "secret" not in station.hooks._queues[0].hook.name
    server.shutdown()
    thread.join()
    server.server_close()
    station.hooks.close()


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("/etc/x", EventHook("/etc/x")),
        ("/etc/a=b", EventHook("/etc/a=b")),
        ("https://hooks.example.net/a?b=c", EventHook("https://hooks.example.net/a?b=c")),
        ("uplink-down,uplink-up=/etc/x", EventHook("/etc/x", frozenset({"uplink-down", "uplink-up"}))),
        ("lease=https://h/x", EventHook("https://h/x", frozenset({"lease"}))),
    ],
)
def test_a_hook_on_the_command_line(text: str, made: EventHook) -> None:
    assert hook(text) == made


@pytest.mark.parametrize("text", ["x", "no-such=/x", "lease=x", "ftp://x/", "https://", "http://h/\n", ""])
def test_what_is_no_hook_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        hook(text)
