"""Reports when an element of a set is added or deleted, by a socket of its own and without the operator's code."""

from __future__ import annotations

import socket
import struct
import time

_NETFILTER, _GROUP = 12, 7  # NETLINK_NETFILTER, NFNLGRP_NFTABLES
_NEW, _GONE = 10 << 8 | 12, 10 << 8 | 14  # NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM
_SO_RCVBUFFORCE = 33


class Listener:
    """To the nftables events of the namespace; use it in `with`."""

    def __enter__(self) -> Listener:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
        self._socket.bind((0, 1 << _GROUP - 1))
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def skip(self) -> None:
        """The reports up to now."""
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(1 << 16)
        except BlockingIOError:
            pass
        finally:
            self._socket.setblocking(True)

    def comes(self, value: bytes, *, seconds: float = 30.0) -> float:
        """The time (perf_counter) at which there is an element with these bytes in it. TimeoutError."""
        return self._until(_NEW, value, seconds)

    def goes(self, value: bytes, *, seconds: float = 30.0) -> float:
        return self._until(_GONE, value, seconds)

    def _until(self, kind: int, value: bytes, seconds: float) -> float:
        self._socket.settimeout(seconds)
        while True:
            data = self._socket.recv(1 << 16)
            now = time.perf_counter()
            if value in data and _kinds(data) & {kind}:
                return now


def _kinds(data: bytes) -> set[int]:
    found, offset = set(), 0
    while offset + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        found.add(kind)
        offset += length + 3 & ~3
    return found
