"""A socket to nf_tables: generation, elements of one set as they are, and batches of elements.

For the elements of our own sets only; everything else of nftables is libnftables' (`kernel/nft.py`).
Netlink answers in the call that asks: what the kernel says of a batch waits in the socket when the send
returns. Not thread-safe.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from nvi_operator.errors import ChangedMeanwhileError
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.nft.wire import messages as m
from nvi_operator.nft.wire.attributes import attributes

_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_NETLINK_NETFILTER = 12
_ACK_TLVS = 0x200  # NLM_F_ACK_TLVS
_MSG, _OFFSET = 1, 2  # NLMSGERR_ATTR_*
_BUFFER = 1 << 20
_MOST_DUMPS = 20  # of a set that somebody keeps changing


class ElementError(OSError):
    """The kernel refused a batch. `change` and `element` are what it blames, where it says so."""

    def __init__(self, code: int, reason: str, change: m.ElementChange | None, element: bytes | None) -> None:
        super().__init__(code, reason or os.strerror(code))
        self.change = change
        self.element = element


@dataclass(frozen=True)
class _Reply:
    kind: int
    flags: int
    sequence: int
    body: bytes


class Nfnetlink:
    """Bound to the network namespace in which it was made; close it, or use it in `with`."""

    def __init__(self) -> None:
        with kernel_errors("nfnetlink: opening"):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
            self._socket.bind((0, 0))
            for option in (_CAP_ACK, _EXT_ACK):
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
            self._grow(_SO_RCVBUFFORCE, socket.SO_RCVBUF, _BUFFER)
        self._room = 0
        self._sequence = 0
        self._buffer = bytearray(1 << 16)  # the kernel fills dumps of 32 KiB where there is room for them

    def __enter__(self) -> Nfnetlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def generation(self) -> int:
        """Goes up by one with each change of any nftables table of the namespace; a few microseconds."""
        self._sequence += 1
        with kernel_errors("nfnetlink: generation"):
            self._socket.send(m.get_generation(self._sequence))
            for reply in self._replies():
                if reply.sequence == self._sequence:
                    _raise_error(reply)
                    said = dict(attributes(reply.body[4:]))
                    return int.from_bytes(said[m.GENERATION_ID], "big")
        raise AssertionError("the kernel answers, or there is an error")

    def tables(self) -> list[tuple[str, str]]:
        """Family and name of every table; libnftables 1.0.6 would read all that is in them to say this."""
        self._sequence += 1
        found: list[tuple[str, str]] = []
        with kernel_errors("nfnetlink: tables"):
            self._socket.send(m.get_tables(self._sequence))
            for reply in self._replies():
                if reply.sequence != self._sequence:
                    continue
                _raise_error(reply)
                if reply.kind == m.DONE:
                    return found
                name = dict(attributes(reply.body[4:]))[m.TABLE_NAME]
                found.append((m.FAMILIES[reply.body[0]], name.rstrip(b"\0").decode()))
        raise AssertionError("a dump has an end")

    def elements(self, table: str, name: str, split: Callable[[bytes], Iterable[bytes]]) -> frozenset[bytes]:
        """All elements of a set of `inet TABLE`; read again while they change. FileNotFoundError: no such set.

        `split` gets the payload of each NFTA_SET_ELEM_LIST_ELEMENTS attribute.
        """
        for _ in range(_MOST_DUMPS):
            found = self._dump(table, name, split)
            if found is not None:
                return found
        raise ChangedMeanwhileError(f"nft set {name}: reading: it keeps changing meanwhile")

    def _dump(self, table: str, name: str, split: Callable[[bytes], Iterable[bytes]]) -> frozenset[bytes] | None:
        self._sequence += 1
        self._socket.send(m.get_elements(table, name, self._sequence))
        found: set[bytes] = set()
        generations: set[bytes] = set()
        whole = True
        for reply in self._replies():
            if reply.sequence != self._sequence:
                continue
            whole = whole and not reply.flags & m.DUMP_INTERRUPTED
            _raise_error(reply)
            if reply.kind == m.DONE:
                return frozenset(found) if whole and len(generations) < 2 else None
            generations.add(reply.body[2:4])  # its lower half; for elements the kernel sets no flag (6.18)
            for kind, payload in attributes(reply.body[4:]):
                if kind == m.ELEMENTS:
                    found.update(split(payload))
        raise AssertionError("a dump has an end")

    def send(
        self,
        table: str,
        changes: Sequence[m.ElementChange],
        *,
        generation: int | None = None,
        commit: bool = True,
    ) -> None:
        """One transaction; without `commit` it is only checked.

        Raises ElementError, and ChangedMeanwhileError if the ruleset is not of that generation any more.
        """
        batch = m.batch(table, changes, first=self._sequence + 1, generation=generation, commit=commit)
        self._sequence = batch.last + 1
        if len(batch.data) > self._room:
            self._grow(_SO_SNDBUFFORCE, socket.SO_SNDBUF, 2 * len(batch.data))
            self._room = len(batch.data)
        self._socket.send(batch.data)
        self._judge(batch)

    def _judge(self, batch: m.Batch) -> None:
        """Nothing but the ack of the last message is success; of several errors the first is told."""
        done = not batch.parts
        try:
            for reply in self._replies(wait=False):
                if reply.kind != m.ERROR or reply.sequence < batch.first:
                    continue
                (code,) = struct.unpack_from("=i", reply.body)
                if code == -errno.ERESTART:
                    raise ChangedMeanwhileError("nft table: apply: somebody changed the ruleset meanwhile")
                if code:
                    reason, offset = _extended(reply)
                    raise ElementError(-code, reason, *batch.blamed(reply.sequence, offset))
                done = done or reply.sequence == batch.last
        except OSError as error:
            if error.errno == errno.ENOBUFS and not isinstance(error, ElementError):
                raise ElementError(errno.ENOBUFS, "more errors than the socket holds", None, None) from error
            raise
        finally:
            self._drain()
        if not done:
            raise ElementError(errno.EPROTO, "the kernel did not acknowledge", None, None)

    def _replies(self, *, wait: bool = True) -> Iterator[_Reply]:
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
                yield _Reply(kind, flags, sequence, bytes(view[offset + 16 : offset + length]))
                offset += length + 3 & ~3

    def _drain(self) -> None:
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


def _raise_error(reply: _Reply) -> None:
    """OSError, if that is what it says; a dump may end with one."""
    if reply.kind in (m.DONE, m.ERROR):
        (code,) = struct.unpack_from("=i", reply.body)
        if code:
            raise OSError(-code, os.strerror(-code))


def _extended(reply: _Reply) -> tuple[str, int | None]:
    """The kernel's sentence, and the offset in the message of what is wrong. Older kernels tell neither."""
    if not reply.flags & _ACK_TLVS:
        return "", None
    said = dict(attributes(reply.body[20:]))  # after the error, and the header of what it answers
    offset = said.get(_OFFSET)
    return said.get(_MSG, b"").rstrip(b"\0").decode(), int.from_bytes(offset, sys.byteorder) if offset else None
