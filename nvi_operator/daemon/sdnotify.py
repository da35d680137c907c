"""systemd's notification protocol, sd_notify(3): one datagram of lines to $NOTIFY_SOCKET."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

EXTENSION = 30.0  # seconds that systemd is asked for at a time; by default it allows 90 for the whole start
LONGEST_RECONCILE = 900  # seconds after which systemd is told nothing more


class Notifier:
    """Silent where the service manager does not listen. Never raises: a gateway works without it."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        # "@" stands for the NUL byte of an abstract address.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self.interval = _interval(environment)

    @contextmanager
    def reconciling(self, *, started: bool) -> Iterator[None]:
        """Within, systemd extends the start, or later sees its watchdog fed: on a slow machine a single reconcile may
        take longer than either allows. It still ends one that hangs, once LONGEST_RECONCILE is over.
        """
        if started:
            lines, every = ["WATCHDOG=1"], self.interval
        else:
            lines = [f"EXTEND_TIMEOUT_USEC={int(EXTENSION * 1_000_000)}", "STATUS=the first reconcile is in progress"]
            every = EXTENSION / 3
        if not self._address or every is None:
            yield
            return
        done = threading.Event()
        teller = threading.Thread(target=self._repeat, args=(lines, every, done), daemon=True)
        teller.start()
        try:
            yield
        finally:
            done.set()
            teller.join()

    def _repeat(self, lines: list[str], every: float, done: threading.Event) -> None:
        for _ in range(int(LONGEST_RECONCILE / every)):
            self._send(*lines)
            if done.wait(every):
                return

    def ready(self, status: str) -> None:
        """The first reconcile has ended."""
        self._send("READY=1", f"STATUS={_line(status)}")

    def status(self, status: str) -> None:
        self._send(f"STATUS={_line(status)}")

    def alive(self) -> None:
        """Call it every `interval` seconds, if that is not None."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1", "STATUS=stopping; the dataplane stays as it is")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return  # no listener, or a slow one


def _line(text: str) -> str:
    return " ".join(text.split())


def _interval(environment: Mapping[str, str]) -> float | None:
    """Half of what systemd allows, in seconds; None if its watchdog is off or meant for another process."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        allowed = int(environment.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return allowed / 2_000_000 if allowed > 0 else None
