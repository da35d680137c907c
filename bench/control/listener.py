"""Reports of the kernel that an object is added or deleted, by a socket of its own, without the operator's code."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass

_SO_RCVBUFFORCE = 33


@dataclass(frozen=True)
class Reports:
    """Of one kind of object: a netlink family, its group, and the messages that say added and deleted."""

    family: int
    group: int
    new: int
    gone: int


ELEMENTS = Reports(12, 7, 10 << 8 | 12, 10 << 8 | 14)  # NETLINK_NETFILTER, NFNLGRP_NFTABLES, NFT_MSG_*SETELEM
ROUTES = Reports(0, 7, 24, 25)  # NETLINK_ROUTE, RTNLGRP_IPV4_ROUTE, RTM_*ROUTE
RULES = Reports(0, 8, 32, 33)  # RTNLGRP_IPV4_RULE, RTM_*RULE


class Listener:
    """To the reports of the namespace about one kind of object; use it in `with`."""

    def __init__(self, reports: Reports = ELEMENTS) -> None:
        self._reports = reports

    def __enter__(self) -> Listener:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, self._reports.family)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
        self._socket.bind((0, 1 << self._reports.group - 1))
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
        """The time (perf_counter) at which there is an object with these bytes in it. TimeoutError."""
        return self._until(self._reports.new, value, seconds)

    def goes(self, value: bytes, *, seconds: float = 30.0) -> float:
        return self._until(self._reports.gone, value, seconds)

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
