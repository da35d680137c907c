"""Packets that the kernel reports, rule by rule: a table that marks them for tracing, and the socket that listens.

The kernel's own reports are read, and not `nft monitor trace`: that reads the whole ruleset to print rules, which
takes long where maps are large, and libnftables may die of a table that a newer nft made. The table has the flag
`owner` (NFT_TABLE_F_OWNER, Linux 5.12): the kernel removes it when the process that made it ends, however that ends.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from types import TracebackType

from nvi_operator.explain.wanted import Stages, Wanted, table_text
from nvi_operator.kernel.netlink.events import subscribed
from nvi_operator.kernel.nft.client import Nft
from nvi_operator.nft.wire.trace import GROUP, TraceEvent, trace_event

_NETFILTER = 12
_BUFFER = 8 << 20


class Tracer:
    """While it is open, the packets that are wanted are reported. Raises KernelError, CapabilityError."""

    def __init__(self, wanted: Wanted, gateway: Stages, count: int, *, answers: bool) -> None:
        self.table = f"nvi_trace_{os.getpid()}"
        self.lost = False
        self._socket = subscribed(_NETFILTER, (GROUP,), _BUFFER)
        self._nft: Nft | None = None
        try:
            self._nft = Nft()
            self._nft.apply(table_text(self.table, wanted, gateway, count, answers=answers))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Tracer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """The table ends with the process that made it."""
        if self._nft is not None:
            self._nft.close()
        self._socket.close()

    def events(self, until: float) -> list[TraceEvent]:
        """What was reported, waiting for the first until this moment of time.monotonic()."""
        left = until - time.monotonic()
        if left > 0:
            select.select([self._socket], (), (), left)
        return list(self._read())

    def _read(self) -> Iterator[TraceEvent]:
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:  # ENOBUFS: more than the buffer holds
                self.lost = True
                continue
            yield from events_in(data)


def events_in(data: bytes) -> Iterator[TraceEvent]:
    offset = 0
    while offset + 16 <= len(data):
        (length,) = struct.unpack_from("=I", data, offset)
        if length < 16:
            return
        if (event := trace_event(data[offset : offset + length])) is not None:
            yield event
        offset += length + 3 & ~3


def interface_names() -> dict[int, str]:
    return dict(socket.if_nameindex())
