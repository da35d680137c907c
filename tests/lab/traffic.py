"""Servers that say whom they saw, and clients that ask them.

A question is a line (TCP), a datagram (UDP) or an echo request (ICMP); the answer is one line of JSON: the
address and port that were seen, who answers, and size and SHA-256 of what arrived. The question `fetch N`
is followed by N bytes after the line, over TCP only.
"""

from __future__ import annotations

import hashlib
import json
import random
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from tests.lab import icmp

if TYPE_CHECKING:
    from tests.lab.host import Host

TIMEOUT = 3.0
_FETCH = b"fetch "
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "icmp": socket.SOCK_RAW}

# Linux: include/uapi/linux/in.h, in6.h; Python's socket module lacks them.
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _DO = 10, 23, 2
_IP_MTU, _IPV6_MTU = 14, 24


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _socket(host: Host, address: str, protocol: str) -> socket.socket:
    family = family_of(address)
    return host.socket(family, _KINDS[protocol], icmp.PROTOCOLS[family] if protocol == "icmp" else 0)


def _noise(size: int) -> bytes:
    """Bytes that do not compress and are the same at both ends; no line ends among them."""
    return random.Random(size).randbytes((size + 1) // 2).hex().encode()[:size]


class Server:
    """Answers questions in a thread of its own, and one more for each TCP connection."""

    def __init__(self, host: Host, address: str, port: int, protocol: str) -> None:
        self._host = host
        self._stopped = False
        self._socket = _socket(host, address, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, port))
        targets: dict[str, Callable[[], None]] = {
            "tcp": self._connections,
            "udp": self._datagrams,
            "icmp": self._echoes,
        }
        if protocol == "tcp":
            self._socket.listen(64)
        threading.Thread(target=targets[protocol], daemon=True).start()

    def close(self) -> None:
        self._stopped = True
        # shutdown() wakes the thread that waits in accept() or recvfrom().
        with suppress(OSError):  # an unconnected socket says ENOTCONN, and wakes all the same
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _answer(self, address: str, port: int, data: bytes) -> bytes:
        digest = hashlib.sha256(data).hexdigest()
        seen = {"seen": address, "port": port, "by": self._host.name, "size": len(data), "sha256": digest}
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
                    connection.sendall(self._answer(peer[0], peer[1], line))
                    if line.startswith(_FETCH):
                        connection.sendall(_noise(int(line[len(_FETCH) :])))
            except OSError:
                return

    def _datagrams(self) -> None:
        while not self._stopped:
            try:
                data, peer = self._socket.recvfrom(65535)
                if peer:
                    self._socket.sendto(self._answer(peer[0], peer[1], data), peer)
            except OSError:
                return

    def _echoes(self) -> None:
        family = self._socket.family
        while not self._stopped:
            try:
                data, peer = self._socket.recvfrom(65535)
                if data and (asked := icmp.question(family, data)):
                    identifier, sequence, text = asked
                    told = self._answer(peer[0], identifier, text)
                    self._socket.sendto(icmp.answer(family, identifier, sequence, told), peer)
            except OSError:
                return


class _Talker(Protocol):
    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class Flow:
    """A connection, a UDP socket or a series of echo requests, with the server's last report of it.

    `seen` and `seen_port` are the source that the server saw (for ICMP the identifier), `by` is the name of
    the host that answered, `size` what arrived there.
    """

    def __init__(self, talker: _Talker, raw: socket.socket, protocol: str) -> None:
        self._talker = talker
        self._raw = raw
        self._protocol = protocol
        self._rest = b""
        self.seen = ""
        self.seen_port = 0
        self.by = ""
        self.size = 0
        self.again()

    def again(self, payload: bytes = b"hello") -> Flow:
        """Ask once more over the same flow. AssertionError if something else than `payload` arrived."""
        question = payload + b"\n"
        self._talker.sendall(question)
        answer = json.loads(self._line())
        self.seen, self.seen_port = answer["seen"], answer["port"]
        self.by, self.size = answer["by"], answer["size"]
        assert answer["sha256"] == hashlib.sha256(question).hexdigest(), f"{self.size} bytes arrived, not as sent"
        return self

    def upload(self, size: int) -> Flow:
        """Send so many bytes at once; the server says what it got."""
        return self.again(_noise(size))

    def download(self, size: int) -> Flow:
        """Let the server send so many bytes (TCP). AssertionError if they are not those that it sent."""
        assert self._protocol == "tcp", "only TCP has bulk in this direction"
        self.again(_FETCH + str(size).encode())
        while len(self._rest) < size:
            self._rest += self._part()
        data, self._rest = self._rest[:size], self._rest[size:]
        assert data == _noise(size), f"{size} bytes arrived, not as sent"
        return self

    @property
    def mtu(self) -> int:
        """The path MTU that the kernel knows by now, in bytes."""
        if self._raw.family == socket.AF_INET6:
            return self._raw.getsockopt(socket.IPPROTO_IPV6, _IPV6_MTU)
        return self._raw.getsockopt(socket.IPPROTO_IP, _IP_MTU)

    def _part(self) -> bytes:
        part = self._talker.recv(65535)
        if not part:
            raise AssertionError("the server closed the connection")
        return part

    def _line(self) -> bytes:
        parts = [self._rest]
        while b"\n" not in parts[-1]:
            parts.append(self._part())
        line, _, self._rest = b"".join(parts).partition(b"\n")
        return line

    def close(self) -> None:
        """Close in order: a FIN that is still on its way would be counted with the next flow."""
        if self._protocol == "tcp":
            with suppress(OSError):
                self._raw.shutdown(socket.SHUT_WR)
                while self._raw.recv(65535):
                    pass
        self._talker.close()

    def __enter__(self) -> Flow:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


warm_up = 0  # further questions of each new TCP or UDP flow, for a flow cache to learn it


def connect(
    host: Host,
    address: str,
    port: int,
    protocol: str,
    source: str | None,
    source_port: int,
    timeout: float = TIMEOUT,
    *,
    df: bool = False,
) -> Flow:
    """AssertionError if no host answers."""
    sock = _socket(host, address, protocol)
    try:
        sock.settimeout(timeout)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if df:
            v6 = sock.family == socket.AF_INET6
            level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
            sock.setsockopt(level, _IPV6_MTU_DISCOVER if v6 else _IP_MTU_DISCOVER, _DO)
        if protocol == "icmp":
            if source:
                sock.bind((source, 0))
            sock.connect((address, 0))
            return Flow(icmp.EchoSocket(sock, source_port or icmp.next_identifier()), sock, protocol)
        if source or source_port:
            sock.bind((source or ("::" if ":" in address else "0.0.0.0"), source_port))
        sock.connect((address, port))
        flow = Flow(sock, sock, protocol)
        for _ in range(warm_up):
            flow.again()
        return flow
    except (OSError, AssertionError) as error:
        sock.close()
        where = address if protocol == "icmp" else f"{address} port {port}/{protocol}"
        raise AssertionError(f"{host.name} -> {where}: {error}") from error
