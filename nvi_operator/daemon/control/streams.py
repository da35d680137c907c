"""Many peers on stream sockets, served in the daemon's loop: whatever they do, it never waits for one of them.

Each step takes a few milliseconds at most. What a peer may cost is bounded: the bytes of a request, the time to write
it, the bytes that wait to be read, the time without any being read; where a connection is for one request, the time
that it lasts. A peer that exceeds one of them is dropped. While an answer waits to be read, no further request of
that peer is read.
"""

from __future__ import annotations

import errno
import resource
import select
import socket
import struct
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import field
from enum import Enum
from typing import Protocol

from nvi_operator.dataclass import dataclass

LONGEST_REQUEST = 4096  # bytes
MOST_WAITING = 256 * 1024  # bytes that a peer has not read when more is sent unasked
PATIENCE = 10.0  # seconds: to complete a request, and to read anything of an answer
STEP = 0.005  # seconds
AFTER_EMFILE = 1.0  # seconds in which no peer is accepted
_PIECE = 65536
_UCRED = struct.Struct("=3i")


@dataclass(frozen=True)
class Peer:
    """Who is on the other end; of a TCP connection nothing is known."""

    pid: int = 0
    uid: int = -1
    gid: int = -1


@dataclass(eq=False)
class Connection:
    """One peer. `send` never blocks."""

    sock: socket.socket
    peer: Peer
    now: Callable[[], float]
    received: bytearray = field(default_factory=bytearray)
    waiting: bytearray = field(default_factory=bytearray)
    deadline: float | None = None  # of the peer: to complete a request, or to read on
    end: float = float("inf")  # of the connection, whatever the peer does
    ending: bool = False  # close when everything is sent
    closed: bool = False

    def send(self, data: bytes) -> None:
        """An answer: it may be of any size, because nothing else waits."""
        self.waiting += data
        self.flush()

    def push(self, data: bytes) -> bool:
        """Unasked. False if the peer reads too slowly: drop it."""
        if len(self.waiting) + len(data) > MOST_WAITING:
            return False
        self.send(data)
        return True

    def flush(self) -> None:
        if not self.waiting or self.closed:
            return
        try:
            sent = self.sock.send(memoryview(self.waiting)[:_PIECE])
        except BlockingIOError:
            sent = 0
        except OSError:
            self.waiting.clear()
            self.ending = True
            return
        if sent:
            del self.waiting[:sent]
            self.deadline = None
        if not self.waiting:
            self.deadline = None
        elif self.deadline is None:
            self.deadline = self.now() + PATIENCE


class Refusal(Enum):
    """Why a connection ends without an answer, in words."""

    TOO_MANY = "too many connections"
    TOO_LONG = f"a request has at most {LONGEST_REQUEST} bytes"


class WireProtocol(Protocol):
    """What is spoken on the connections of one listener."""

    seconds: float  # that a connection may last: infinity where a peer may stay and ask nothing

    def serve(self, connection: Connection) -> bool:
        """Answer the first request in `received` and remove it. False: none is complete."""
        ...

    def refuse(self, connection: Connection, reason: Refusal) -> None:
        """Send why the connection ends."""
        ...

    def ended(self, connection: Connection) -> None:
        """It is closed."""
        ...


class Streams:
    """A station of the daemon's loop (`daemon/interfaces.py`)."""

    def __init__(self, now: Callable[[], float] = time.monotonic, most: int = 1100, for_root: int = 64) -> None:
        self._now = now
        self._most = most
        self._for_root = for_root  # of these connections
        _allow_descriptors(most + 256)
        self._epoll = select.epoll()
        self._listeners: dict[int, tuple[socket.socket, WireProtocol]] = {}
        self._connections: dict[int, tuple[Connection, WireProtocol]] = {}
        self._ready: dict[int, None] = {}  # with requests that may be complete
        self._owing: set[Connection] = set()  # with a deadline
        self._muted_until: float | None = None

    def listen(self, listener: socket.socket, language: WireProtocol) -> None:
        listener.setblocking(False)
        self._listeners[listener.fileno()] = listener, language
        self._epoll.register(listener, select.EPOLLIN)

    def close(self) -> None:
        """Closes the listeners as well."""
        for connection, _ in list(self._connections.values()):
            self._drop(connection)
        for listener, _ in self._listeners.values():
            listener.close()
        self._epoll.close()

    def fileno(self) -> int:
        return self._epoll.fileno()

    def __len__(self) -> int:
        return len(self._connections)

    def next_due(self) -> float:
        """Infinity if no peer owes anything."""
        if self._ready:
            return float("-inf")
        deadlines = [_due(connection) for connection in self._owing]
        return min(deadlines if self._muted_until is None else [*deadlines, self._muted_until], default=float("inf"))

    def step(self) -> None:
        """Accept, read, answer and write, as far as that is possible now and for STEP seconds."""
        end = self._now() + STEP
        for fileno, events in self._epoll.poll(0, 256):
            if fileno in self._listeners:
                self._accept(*self._listeners[fileno], end)
            elif fileno in self._connections:
                self._transfer(*self._connections[fileno], events)
        while self._ready and self._now() < end:
            fileno = next(iter(self._ready))
            del self._ready[fileno]
            self._serve(*self._connections[fileno])
        self._expire()

    def push(self, connection: Connection, data: bytes) -> None:
        """Send unasked; a peer that reads too slowly is dropped."""
        if not connection.push(data):
            self._drop(connection)
        else:
            self._watch(connection)

    def _accept(self, listener: socket.socket, language: WireProtocol, end: float) -> None:
        while self._now() < end:
            try:
                sock, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._mute()
                return
            sock.setblocking(False)
            connection = Connection(sock, _peer(sock), self._now, end=self._now() + language.seconds)
            most = self._most - (self._for_root if connection.peer.uid != 0 else 0)
            if len(self._connections) >= most:
                language.refuse(connection, Refusal.TOO_MANY)
                sock.close()
                continue
            self._connections[sock.fileno()] = connection, language
            self._epoll.register(sock, select.EPOLLIN)
            self._watch(connection)

    def _mute(self) -> None:
        """No descriptor is left: otherwise the listener would wake the loop without end."""
        self._muted_until = self._now() + AFTER_EMFILE
        for listener, _ in self._listeners.values():
            self._epoll.modify(listener, 0)

    def _transfer(self, connection: Connection, language: WireProtocol, events: int) -> None:
        if events & select.EPOLLOUT:
            connection.flush()
        elif events & select.EPOLLIN and len(connection.received) < LONGEST_REQUEST:
            self._receive(connection)
        elif events & (select.EPOLLHUP | select.EPOLLERR):
            self._drop(connection)
        self._after(connection)

    def _receive(self, connection: Connection) -> None:
        try:
            piece = connection.sock.recv(LONGEST_REQUEST)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if piece:
            connection.received += piece
        elif connection.sock.fileno() in self._ready:
            connection.ending = True  # it has written all its requests
        else:
            self._drop(connection)

    def _serve(self, connection: Connection, language: WireProtocol) -> None:
        served = language.serve(connection)
        if served and not connection.waiting:
            connection.deadline = None
        if not served and len(connection.received) >= LONGEST_REQUEST:
            language.refuse(connection, Refusal.TOO_LONG)
            connection.ending = True
        self._after(connection, again=served)

    def _after(self, connection: Connection, *, again: bool = True) -> None:
        """What a connection waits for now."""
        if connection.closed:
            return
        if connection.ending and not connection.waiting:
            self._drop(connection)
            return
        if not connection.waiting and not connection.ending:
            if connection.received and again:
                self._ready[connection.sock.fileno()] = None
            elif not connection.received:
                connection.deadline = None
            elif connection.deadline is None:
                connection.deadline = self._now() + PATIENCE
        self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        if connection.closed:
            return
        self._epoll.modify(connection.sock, select.EPOLLOUT if connection.waiting else select.EPOLLIN)
        (self._owing.add if _due(connection) < float("inf") else self._owing.discard)(connection)

    def _expire(self) -> None:
        now = self._now()
        if self._muted_until is not None and self._muted_until <= now:
            self._muted_until = None
            for listener, _ in self._listeners.values():
                self._epoll.modify(listener, select.EPOLLIN)
        for connection in tuple(self._owing):
            if _due(connection) <= now:
                self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        if connection.closed:
            return
        connection.closed = True
        self._owing.discard(connection)
        fileno = connection.sock.fileno()
        _, language = self._connections.pop(fileno)
        self._ready.pop(fileno, None)
        with suppress(OSError):
            self._epoll.unregister(connection.sock)
        connection.sock.close()
        language.ended(connection)


def _due(connection: Connection) -> float:
    """When it is dropped."""
    return connection.end if connection.deadline is None else min(connection.deadline, connection.end)


def each(connections: Collection[Connection], streams: Streams, data: bytes) -> None:
    """Send the same to all of them."""
    for connection in tuple(connections):
        streams.push(connection, data)


def _peer(sock: socket.socket) -> Peer:
    if sock.family != socket.AF_UNIX:
        return Peer()
    return Peer(*_UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))


def _allow_descriptors(number: int) -> None:
    """The soft limit is 1,024 for the sake of select(2), which is not used here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < number:
        most = number if hard == resource.RLIM_INFINITY else min(number, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
