"""Echo requests that ask "whom do you see?", through a raw socket with the face of a datagram socket.

The kernel answers echo requests by itself; beside it the laboratory's server answers those that begin with
`ASK`, and the client takes no other answer than one that begins with `TELL`.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from itertools import count

from tests.lab.packets import checksum

ASK, TELL = b"whoami:", b"you-are:"
PROTOCOLS = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
_identifiers = count(os.getpid())


def next_identifier() -> int:
    """One that no other flow of this process has at the moment."""
    return next(_identifiers) % 0xFFFF + 1


def _message(family: int, kind: int, identifier: int, sequence: int, payload: bytes) -> bytes:
    """The kernel fills in the checksum of ICMPv6, not that of ICMP."""
    text = struct.pack("!BBHHH", kind, 0, 0, identifier, sequence) + payload
    return text[:2] + struct.pack("!H", checksum(text)) + text[4:] if family == socket.AF_INET else text


def _parse(family: int, data: bytes) -> tuple[int, int, int, bytes]:
    """Type, identifier, sequence number, payload. IPv4 raw sockets also give the IP header."""
    text = data[(data[0] & 15) * 4 :] if family == socket.AF_INET else data
    if len(text) < 8:
        return -1, 0, 0, b""
    kind, _, _, identifier, sequence = struct.unpack("!BBHHH", text[:8])
    return kind, identifier, sequence, text[8:]


def question(family: int, data: bytes) -> tuple[int, int, bytes] | None:
    """Identifier, sequence number and text of a question in `data`, if it is one."""
    kind, identifier, sequence, payload = _parse(family, data)
    if kind != _REQUEST[socket.AddressFamily(family)] or not payload.startswith(ASK):
        return None
    return identifier, sequence, payload[len(ASK) :]


def answer(family: int, identifier: int, sequence: int, text: bytes) -> bytes:
    return _message(family, _REPLY[socket.AddressFamily(family)], identifier, sequence, TELL + text)


class EchoSocket:
    """A connected raw socket that looks like one of UDP: `sendall` asks, `recv` waits for the answer."""

    def __init__(self, raw: socket.socket, identifier: int) -> None:
        self._raw = raw
        self._identifier = identifier
        self._sequence = 0

    def sendall(self, payload: bytes) -> None:
        self._sequence += 1
        kind = _REQUEST[self._raw.family]
        self._raw.send(_message(self._raw.family, kind, self._identifier, self._sequence, ASK + payload))

    def recv(self, size: int) -> bytes:
        """The answer to the last question. TimeoutError if there is none."""
        timeout = self._raw.gettimeout()
        deadline = time.monotonic() + (timeout or 0.0)
        try:
            while True:
                self._raw.settimeout(max(deadline - time.monotonic(), 0.001))
                kind, *numbers, payload = _parse(self._raw.family, self._raw.recv(size))
                mine = numbers == [self._identifier, self._sequence]
                if mine and kind == _REPLY[self._raw.family] and payload.startswith(TELL):
                    return payload[len(TELL) :]
        finally:
            self._raw.settimeout(timeout)

    def close(self) -> None:
        self._raw.close()
