"""systemd's notification protocol, sd_notify(3): one datagram of lines to $NOTIFY_SOCKET."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Silent where nobody listens. Never raises: to be heard by the service manager is no part of the job."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        # "@" stands for the NUL byte of an abstract address.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self.interval = _interval(environment)

    def ready(self, status: str) -> None:
        """The first pass has been made."""
        self._send("READY=1", f"STATUS={_line(status)}")

    def status(self, status: str) -> None:
        self._send(f"STATUS={_line(status)}")

    def alive(self) -> None:
        """To be said every `interval` seconds, if that is not None."""
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
            return  # nobody there, or too slow to listen


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
