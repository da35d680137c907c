"""A socket to rtnetlink: listings, and changes of what there may be many of (FIB rules, routes). pyroute2 changes the
rest.

pyroute2 takes 0.25 ms for a request and 40 us for each object of a listing, and as long to import as a `plan` takes
otherwise; a gateway may well hold the routes of the whole internet, in which the owned routes are looked for.
Source: include/uapi/linux/rtnetlink.h, include/uapi/linux/fib_rules.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from ipaddress import ip_address

from nvi_operator.kernel.netlink.socket import ACK, DONE, DUMP, DUMP_INTERRUPTED, REQUEST, ROUTE, Netlink, header
from nvi_operator.language.model.values import Family
from nvi_operator.nft.wire.attributes import attribute

AF: dict[Family, int] = {4: socket.AF_INET, 6: socket.AF_INET6}

_GET_STRICT_CHECK = 12  # NETLINK_GET_STRICT_CHK, Linux 4.20: a listing may be told what of
_MOST_DUMPS = 3  # on a router with much to do something always changes meanwhile


class Rtnetlink:
    """Bound to the network namespace in which it was made; close it, or use it in `with`."""

    def __init__(self) -> None:
        self._netlink = Netlink(ROUTE)
        self._netlink.set(_GET_STRICT_CHECK)
        self._sequence = 0

    def __enter__(self) -> Rtnetlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._netlink.close()

    def request(self, kind: int, flags: int, body: bytes) -> None:
        """Have something changed. Raises OSError with the kernel's own words, and then nothing is."""
        self._sequence += 1
        self._netlink.send(header(kind, REQUEST | ACK | flags, self._sequence, len(body)) + body)
        for reply in self._netlink.replies():
            if reply.sequence == self._sequence:
                reply.raise_error()
                return

    def dump(self, kind: int, body: bytes, matches: Callable[[bytes], bool]) -> list[bytes]:
        """The messages that are asked for; listed again, twice, if they changed meanwhile. Raises OSError."""
        found: list[bytes] = []
        for _ in range(_MOST_DUMPS):
            found, whole = self._dump(kind, body, matches)
            if whole:
                break
        return found

    def _dump(self, kind: int, body: bytes, matches: Callable[[bytes], bool]) -> tuple[list[bytes], bool]:
        self._sequence += 1
        self._netlink.send(header(kind, REQUEST | DUMP, self._sequence, len(body)) + body)
        found: list[bytes] = []
        whole = True
        for reply in self._netlink.replies():
            if reply.sequence != self._sequence:
                continue
            whole = whole and not reply.flags & DUMP_INTERRUPTED
            if reply.code() == errno.ENOENT:
                return [], True  # of a table that is not there
            reply.raise_error()
            if reply.kind == DONE:
                break
            if matches(reply.body):
                found.append(reply.body)
        return found, whole


def number(kind: int, value: int) -> bytes:
    """An attribute of 32 bits in the machine's byte order."""
    return attribute(kind, struct.pack("=I", value))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def prefix(kind: int, network: str | None) -> tuple[bytes, int]:
    """An attribute with the address of a prefix, and its length; of all addresses nothing, and 0."""
    address, _, length = (network or "/0").partition("/")
    return (attribute(kind, ip_address(address).packed) if int(length) else b""), int(length)


def shown_prefix(payload: bytes | None, length: int) -> str | None:
    return f"{ip_address(payload)}/{length}" if payload else None


def shown_number(payload: bytes | None) -> int | None:
    return None if payload is None else int(struct.unpack("=I", payload)[0])
