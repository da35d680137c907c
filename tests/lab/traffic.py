"""Servers that say whom they saw, and clients that ask them. One datagram or line each way, then on request more."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.lab.net import Host

TIMEOUT = 3.0


def family_of(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Server:
    """Answers every line (TCP) or datagram (UDP) with the peer's address and port, in a thread of its own."""

    def __init__(self, host: Host, address: str, port: int, protocol: str) -> None:
        self._host = host
        self._stopped = False
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        self._socket = host.socket(family_of(address), kind)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, port))
        target: Callable[[], None] = self._datagrams
        if protocol == "tcp":
            self._socket.listen(64)
            target = self._connections
        threading.Thread(target=target, daemon=True).start()

    def close(self) -> None:
        self._stopped = True
        # shutdown() wakes the thread that waits in accept() or recvfrom().
        with suppress(OSError):  # an unconnected UDP socket says ENOTCONN, and wakes all the same
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _answer(self, peer: Any, data: bytes) -> bytes:
        seen = {"seen": peer[0], "port": peer[1], "by": self._host.name, "size": len(data)}
        return json.dumps(seen).encode() + b"\n"

    def _connections(self) -> None:
        while not self._stopped:
            try:
                connection, peer = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection, peer), daemon=True).start()

    def _talk(self, connection: socket.socket, peer: Any) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    connection.sendall(self._answer(peer, line))
            except OSError:
                return

    def _datagrams(self) -> None:
        while not self._stopped:
            try:
                data, peer = self._socket.recvfrom(65535)
                if peer:
                    self._socket.sendto(self._answer(peer, data), peer)
            except OSError:
                return


class Flow:
    """A connection, or a UDP socket, with what the server said of it."""

    def __init__(self, sock: socket.socket, protocol: str) -> None:
        self._socket = sock
        self._protocol = protocol
        self.seen = ""
        self.seen_port = 0
        self.by = ""
        self.size = 0
        self.again()

    def again(self, payload: bytes = b"hello") -> Flow:
        """Ask once more over the same flow."""
        self._socket.sendall(payload + b"\n")
        answer = json.loads(self._receive())
        self.seen, self.seen_port = answer["seen"], answer["port"]
        self.by, self.size = answer["by"], answer["size"]
        return self

    def _receive(self) -> bytes:
        data = b""
        while not data.endswith(b"\n"):
            part = self._socket.recv(65535)
            if not part:
                raise AssertionError("the server closed the connection")
            data += part
        return data

    def __enter__(self) -> Flow:
        return self

    def __exit__(self, *_: object) -> None:
        """Close in order: a FIN that is still on its way would be counted with the next flow."""
        if self._protocol == "tcp":
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
                while self._socket.recv(65535):
                    pass
        self._socket.close()


def connect(
    host: Host,
    address: str,
    port: int,
    protocol: str,
    source: str | None,
    source_port: int,
    timeout: float = TIMEOUT,
) -> Flow:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    sock = host.socket(family_of(address), kind)
    try:
        sock.settimeout(timeout)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if source or source_port:
            sock.bind((source or ("::" if ":" in address else "0.0.0.0"), source_port))
        sock.connect((address, port))
        return Flow(sock, protocol)
    except OSError as error:
        sock.close()
        raise AssertionError(f"{host.name} -> {address} port {port}/{protocol}: {error}") from error
