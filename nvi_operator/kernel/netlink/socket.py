"""A netlink socket, for what libraries are too slow for: messages out, and what the kernel answers.

Netlink answers in the call that asks: what the kernel says waits in the socket when the send returns. Not
thread-safe.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Self

from nvi_operator.dataclass import dataclass
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.nft.wire.attributes import attributes

ROUTE, NETFILTER = 0, 12  # NETLINK_*
REQUEST, ACK, EXCLUSIVE, REPLACE, CREATE, DUMP = 0x1, 0x4, 0x200, 0x100, 0x400, 0x300  # NLM_F_*
DUMP_INTERRUPTED = 0x10
ERROR, DONE = 2, 3  # NLMSG_*

_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_ACK_TLVS = 0x200  # NLM_F_ACK_TLVS
_MSG, _OFFSET = 1, 2  # NLMSGERR_ATTR_*
_BUFFER = 1 << 20


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, sequence, 0) + body


@dataclass(frozen=True, slots=True)
class Reply:
    """A message of the kernel; `body` is without the header."""

    kind: int
    flags: int
    sequence: int
    body: bytes

    def code(self) -> int:
        """The errno that it says, of an error or the end of a dump; 0 if none."""
        return -int(struct.unpack_from("=i", self.body)[0]) if self.kind in (DONE, ERROR) else 0

    def raise_error(self) -> None:
        """OSError, in the kernel's own words if it has some."""
        if code := self.code():
            raise OSError(code, self.extended()[0] or os.strerror(code))

    def extended(self) -> tuple[str, int | None]:
        """The kernel's sentence, and the offset in the message of what is wrong. Older kernels tell neither."""
        if self.kind != ERROR or not self.flags & _ACK_TLVS:
            return "", None
        attrs = dict(attributes(self.body[20:]))  # after the error, and the header of what it answers
        offset = attrs.get(_OFFSET)
        text = attrs.get(_MSG, b"").rstrip(b"\0").decode(errors="replace")
        return text, int.from_bytes(offset, sys.byteorder) if offset else None


class Netlink:
    """Bound to the network namespace in which it was made; close it, or use it in `with`.

    `sequence` is the number of the last message that was sent. `interrupted`: did what the last dump lists change
    meanwhile?
    """

    def __init__(self, protocol: int) -> None:
        self.sequence = 0
        self.interrupted = False
        with kernel_errors("netlink: opening a socket"):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
            self._socket.bind((0, 0))
            for option in (_CAP_ACK, _EXT_ACK):
                self.set(option)
            self._grow(_SO_RCVBUFFORCE, socket.SO_RCVBUF, _BUFFER)
        self._room = 1 << 16  # less than any kernel begins with
        self._buffer = bytearray(1 << 16)  # the kernel fills dumps of 32 KiB where there is room for them

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def ask(self, kind: int, flags: int, body: bytes) -> Iterator[Reply]:
        """Send a request. Yields the answer, a dump's to its end; raises OSError in the kernel's own words."""
        return self.ask_with(lambda sequence: message(kind, flags, sequence, body))

    def ask_with(self, request: Callable[[int], bytes]) -> Iterator[Reply]:
        """The same for a message that is made for its sequence number."""
        self.sequence += 1
        self.interrupted = False
        self.write(request(self.sequence))
        return self._answer(self.sequence)

    def _answer(self, sequence: int) -> Iterator[Reply]:
        for reply in self.replies():
            if reply.sequence != sequence:
                continue  # of an answer that was not read to its end
            if reply.flags & DUMP_INTERRUPTED:
                self.interrupted = True
            reply.raise_error()
            if reply.kind in (DONE, ERROR):
                return
            yield reply

    def set(self, option: int) -> None:
        """Switch an option of the protocol on."""
        self._socket.setsockopt(_SOL_NETLINK, option, 1)

    def write(self, data: bytes) -> None:
        if len(data) > self._room:
            self._grow(_SO_SNDBUFFORCE, socket.SO_SNDBUF, 2 * len(data))
            self._room = len(data)
        self._socket.send(data)

    def replies(self, *, wait: bool = True) -> Iterator[Reply]:
        """What the kernel says; without end, unless it is only asked for what is there already."""
        view = memoryview(self._buffer)
        while True:
            try:
                size, (sender, _groups) = self._socket.recvfrom_into(
                    self._buffer, 0, 0 if wait else socket.MSG_DONTWAIT
                )
            except BlockingIOError:
                return
            offset = 0
            while sender == 0 and offset + 16 <= size:
                length, kind, flags, sequence, _port = struct.unpack_from("=IHHII", view, offset)
                yield Reply(kind, flags, sequence, bytes(view[offset + 16 : offset + length]))
                offset += length + 3 & ~3

    def drain(self) -> None:
        """Forget what is there."""
        while True:
            try:
                self._socket.recv_into(self._buffer, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def _grow(self, forced: int, plain: int, size: int) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, forced, size)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, plain, size)
