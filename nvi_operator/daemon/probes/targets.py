"""One target, asked again and again. Nothing here waits: a question is sent, and its answer is collected later.

Pings and name servers are asked over one socket each, and nothing wakes the loop for their answers: the kernel notes
when each came in (SO_TIMESTAMPNS), so that they are read when the next question is due. That keeps 150 targets below
a hundredth of a core. TCP and HTTP need a connection for each question, and the loop follows its progress.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
import time
from abc import ABC, abstractmethod
from contextlib import suppress

from nvi_operator.daemon.probes.way import ProbePath
from nvi_operator.language.model.health import Probe

_SO_TIMESTAMPNS = 35  # include/uapi/asm-generic/socket.h; the old form, of two longs
_SO_ATTACH_FILTER = 26
_ICMP_FILTER = 1  # include/uapi/linux/icmp.h, of level SOL_RAW
_SOL_RAW = 255
_ICMPV6_FILTER = 1  # include/uapi/linux/icmpv6.h
_TIMESPEC = struct.Struct("@ll")
_ECHO = struct.Struct("!BBHHH")
_ECHO_REQUEST, _ECHO_REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
_DNS_HEADER = struct.Struct("!6H")
_RECURSIVE, _RESPONSE, _RCODE = 0x0100, 0x8000, 0x000F
_ANSWERED = (0, 3)  # NOERROR, NXDOMAIN
_NS, _A, _IN = 2, 1, 1
_LONGEST_ANSWER = 4096
_MOST_ANSWERS = 64  # that are read to a question: one, and what came late or twice
_LINGER_NOT = struct.pack("ii", 1, 0)  # close with a reset: no TIME_WAIT for each probe


class ProbeTarget(ABC):
    """Asked with `ask`; `answer` tells the outcome so far. `why`: the cause of the last failure, in a few words."""

    def __init__(self, probe: Probe, way: ProbePath) -> None:
        self.probe = probe
        self.way = way
        self.why = ""

    @abstractmethod
    def ask(self) -> None:
        """Send a question; an earlier one is given up."""

    @abstractmethod
    def answer(self) -> float | None:
        """Seconds from the question to its answer; None if there is none so far."""

    @abstractmethod
    def close(self) -> None: ...


def target(probe: Probe, way: ProbePath, epoll: select.epoll) -> ProbeTarget:
    """The target of a probe. Connections are registered with `epoll`, which tells of their progress."""
    if probe.kind == "ping":
        return _Ping(probe, way)
    return _Dns(probe, way) if probe.kind == "dns" else Stream(probe, way, epoll)


# --------------------------------------------------------------------------- datagrams


class _Datagrams(ProbeTarget):
    """Over one socket that is connected to the target, so that it receives from that one alone."""

    def __init__(self, probe: Probe, way: ProbePath) -> None:
        super().__init__(probe, way)
        self._socket: socket.socket | None = None
        self._number = int.from_bytes(os.urandom(2), "big")  # of the last question
        self._asked = self._began = 0.0  # time of day, which the kernel notes as well, and CLOCK_MONOTONIC

    @abstractmethod
    def _open(self) -> socket.socket: ...

    @abstractmethod
    def _question(self) -> bytes: ...

    @abstractmethod
    def _is_answer(self, data: bytes) -> bool: ...

    def ask(self) -> None:
        self._number = self._number + 1 & 0xFFFF
        self.why = ""
        try:
            if self._socket is None:
                self._socket = self._open()
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._asked, self._began = time.time(), time.monotonic()
            self._socket.send(self._question())
        except OSError as error:
            self.why = error.strerror or str(error)
            self.close()

    def answer(self) -> float | None:
        return self._drain(self._socket) if self._socket else None

    def _drain(self, sock: socket.socket) -> float | None:
        """Seconds until the answer to the last question, if it came. What came late or twice is dropped.

        After a flood the next question gets a socket of its own: answers would wait behind the flood.
        """
        found = None
        for _ in range(_MOST_ANSWERS):
            read = time.time()
            try:
                data, ancillary, _, _ = sock.recvmsg(_LONGEST_ANSWER, 64)
            except BlockingIOError:
                break
            except OSError as error:  # an ICMP error about an earlier question
                self.why = error.strerror or str(error)
                continue
            if found is None and self._is_answer(data):
                found = self._taken(_arrival(ancillary), read)
        else:
            self.close()
        return found

    def _taken(self, arrival: float, read: float) -> float:
        """Seconds, of an answer that came at this time of day, although the clock may have been set meanwhile.

        The kernel begins to stamp what arrives some microseconds after the first socket asks for it, and stamps what
        came before when it is read (Linux 6.18: `netstamp_work`, net/core/dev.c). That was in time, and counts as 0.
        """
        passed = time.monotonic() - self._began
        taken = arrival - self._asked
        if arrival >= read:
            return 0.0
        if 0 <= taken <= passed:
            return taken
        return min(max(0.0, taken - (time.time() - self._asked - passed)), passed)

    def close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None


def _arrival(ancillary: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
            return float(seconds + nanoseconds / 1e9)
    return time.time()


class _Ping(_Datagrams):
    """Uses a raw socket: ping sockets are closed to everyone by default (net.ipv4.ping_group_range).

    It would receive what other programs are answered as well, such as mtr: the kernel filters by the identifier.
    """

    def __init__(self, probe: Probe, way: ProbePath) -> None:
        super().__init__(probe, way)
        self._identifier = 0  # of a socket

    def _open(self) -> socket.socket:
        address = self.probe.address
        protocol = socket.IPPROTO_ICMP if address.version == 4 else socket.IPPROTO_ICMPV6
        made = self.way.socket(address.version, socket.SOCK_RAW, protocol)
        if address.version == 4:
            made.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", 0xFFFFFFFF & ~(1 << _ECHO_REPLY[4])))
        else:
            passed = bytearray(b"\xff" * 32)  # a set bit blocks the type
            word = struct.unpack_from("=I", passed, _ECHO_REPLY[6] // 32 * 4)[0] & ~(1 << _ECHO_REPLY[6] % 32)
            struct.pack_into("=I", passed, _ECHO_REPLY[6] // 32 * 4, word)
            made.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, bytes(passed))
        self._identifier = int.from_bytes(os.urandom(2), "big")
        _receive_alone(made, _identified(self._identifier, address.version))
        made.connect((str(address), 0))
        return made

    def _question(self) -> bytes:
        kind = _ECHO_REQUEST[self.probe.address.version]
        if kind == _ECHO_REQUEST[6]:
            return _ECHO.pack(kind, 0, 0, self._identifier, self._number)  # the kernel fills in the checksum
        total = (kind << 8) + self._identifier + self._number
        total = (total & 0xFFFF) + (total >> 16)
        return _ECHO.pack(kind, 0, ~total & 0xFFFF, self._identifier, self._number)

    def _is_answer(self, data: bytes) -> bool:
        version = self.probe.address.version
        start = (data[0] & 0x0F) * 4 if version == 4 else 0  # IPv4 raw sockets give the header as well
        if len(data) < start + _ECHO.size:
            return False
        kind, _, _, identifier, number = _ECHO.unpack_from(data, start)
        return bool((kind, identifier, number) == (_ECHO_REPLY[version], self._identifier, self._number))


def _identified(identifier: int, version: int) -> list[tuple[int, int, int, int]]:
    """A filter (struct sock_filter) for echo replies with this identifier."""
    load = [(0xB1, 0, 0, 0), (0x48, 0, 0, 4)]  # ldxb 4*([0]&0xf); ldh [x + 4]: behind the header of IPv4
    if version == 6:
        load = [(0x28, 0, 0, 4)]  # ldh [4]
    return [*load, (0x15, 0, 1, identifier), (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0)]  # jeq, ret all, ret nothing


def _receive_alone(sock: socket.socket, instructions: list[tuple[int, int, int, int]]) -> None:
    """What the filter (socket(7), SO_ATTACH_FILTER) passes. Raises OSError."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in instructions))
    sock.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(instructions), ctypes.addressof(code))
    )


class _Dns(_Datagrams):
    """One question without EDNS (RFC 1035)."""

    def _open(self) -> socket.socket:
        made = self.way.socket(self.probe.address.version, socket.SOCK_DGRAM)
        made.connect((str(self.probe.address), 53))
        return made

    def _question(self) -> bytes:
        name = (self.probe.name or ".").strip(".")
        labels = [label.encode() for label in name.split(".") if label]
        encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
        kind = _A if labels else _NS
        return _DNS_HEADER.pack(self._number, _RECURSIVE, 1, 0, 0, 0) + encoded + struct.pack("!HH", kind, _IN)

    def _is_answer(self, data: bytes) -> bool:
        if len(data) < _DNS_HEADER.size:
            return False
        number, flags = struct.unpack_from("!HH", data)
        if number != self._number or not flags & _RESPONSE:
            return False
        if flags & _RCODE not in _ANSWERED:
            self.why = f"the name server says error {flags & _RCODE}"
            return False
        return True


# --------------------------------------------------------------------------- connections


class Stream(ProbeTarget):
    """A connection for each question; for HTTP also a request, and the first line of the response."""

    def __init__(self, probe: Probe, way: ProbePath, epoll: select.epoll) -> None:
        super().__init__(probe, way)
        self._epoll = epoll
        self._socket: socket.socket | None = None
        self._asked = 0.0
        self._latency: float | None = None
        self._sent = False
        self._received = b""

    def ask(self) -> None:
        self.close()
        self._latency, self._sent, self._received, self.why = None, False, b"", ""
        self._asked = time.monotonic()
        try:
            self._socket = self.way.socket(self.probe.address.version, socket.SOCK_STREAM)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            with suppress(BlockingIOError):
                self._socket.connect((str(self.probe.address), self.probe.port))
            self._epoll.register(self._socket.fileno(), select.EPOLLOUT)
        except OSError as error:
            self._fail(error.strerror or str(error))

    def fileno(self) -> int | None:
        """The descriptor of the connection, while there is one."""
        return self._socket.fileno() if self._socket else None

    def progress(self) -> None:
        """Something happened on the connection."""
        if self._socket is None:
            return
        try:
            if (error := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) != 0:
                self._fail(os.strerror(error))
            elif not self.probe.http:
                self._succeed()
            elif not self._sent:
                self._socket.send(self._request())
                self._sent = True
                self._epoll.modify(self._socket.fileno(), select.EPOLLIN)
            else:
                self._read(self._socket)
        except OSError as failure:
            self._fail(failure.strerror or str(failure))

    def _request(self) -> bytes:
        url = self.probe.http
        assert url is not None
        host = self.probe.host or (f"[{url.address}]" if url.address.version == 6 else str(url.address))
        return f"GET {url.path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()

    def _read(self, sock: socket.socket) -> None:
        part = sock.recv(_LONGEST_ANSWER)
        self._received = (self._received + part)[:_LONGEST_ANSWER]
        line, end, _ = self._received.partition(b"\n")  # RFC 9112, 2.2: or CRLF, which `split` drops
        if not end and part and len(self._received) < _LONGEST_ANSWER:
            return
        words = line.split(None, 2)
        status = words[1] if len(words) > 1 and words[0].startswith(b"HTTP/") else b""
        if len(status) != 3 or not status.isdigit():  # whatever else it is, nothing repeats it to a terminal
            self._fail("no HTTP response")
        elif status.startswith(b"2"):
            self._succeed()
        else:
            self._fail(f"status {status.decode()}")

    def _succeed(self) -> None:
        self._latency = time.monotonic() - self._asked
        self.close()

    def _fail(self, why: str) -> None:
        self.why = why
        self.close()

    def answer(self) -> float | None:
        return self._latency

    def close(self) -> None:
        if self._socket:
            self._socket.close()  # which ends its registration
            self._socket = None
