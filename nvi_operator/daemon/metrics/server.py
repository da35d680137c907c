"""GET /metrics, served in the daemon's loop like the control socket (`control/streams.py`)."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable

from nvi_operator.daemon.control.streams import Connection, Refusal
from nvi_operator.kernel.errors import kernel_errors

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST = 64  # connections
SECONDS = 10.0  # for a scrape, which is what Prometheus waits by default
_BACKLOG = 64
_REFUSED = {
    Refusal.TOO_MANY: "503 Service Unavailable",  # a scraper may try again
    Refusal.TOO_LONG: "431 Request Header Fields Too Large",  # RFC 6585
}


class MetricsPage:
    """The language of its listener: HTTP/1.1, one request for each connection.

    Every local user can connect, so that none may hold a connection without asking.
    """

    seconds = SECONDS

    def __init__(self, text: Callable[[], bytes]) -> None:
        self._text = text

    def serve(self, connection: Connection) -> bool:
        head, end, _ = bytes(connection.received).partition(b"\r\n\r\n")
        if not end:
            return False
        connection.received.clear()
        connection.ending = True
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if path != b"/metrics":
            connection.send(_response("404 Not Found", b"see /metrics\n"))
        elif method not in (b"GET", b"HEAD"):
            connection.send(_response("405 Method Not Allowed", b"GET alone\n"))
        else:
            connection.send(_response("200 OK", self._text(), body=method == b"GET"))
        return True

    def refuse(self, connection: Connection, reason: Refusal) -> None:
        connection.send(_response(_REFUSED[reason], f"{reason.value}\n".encode()))

    def ended(self, connection: Connection) -> None:
        return


def _response(status: str, text: bytes, *, body: bool = True) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n"
    )
    return f"{head}\r\n".encode() + (text if body else b"")


def listener(address: str) -> socket.socket:
    """`127.0.0.1:9478` or `[::1]:9478`, loopback addresses alone; `unix:/run/metrics.sock`. Raises NviError."""
    if address.startswith("unix:"):
        return _unix_listener(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with kernel_errors(f"metrics: listening on {address}"):
            sock.bind((host, int(port)))
            sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _unix_listener(path: str) -> socket.socket:
    """A socket for root and the daemon's group. Replaces one on which no process listens any more."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with kernel_errors(f"metrics: listening on {path}"):
            if _is_abandoned(path):
                os.unlink(path)
            sock.bind(path)
            os.chmod(path, 0o660)
            sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _is_abandoned(path: str) -> bool:
    """Is it a socket, and does no process listen there?"""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
