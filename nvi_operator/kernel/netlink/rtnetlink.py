"""A socket to rtnetlink: listings, and changes of what there may be many of (FIB rules, routes). pyroute2 changes the
rest.

pyroute2 takes 0.25 ms for a request and 40 us for each object of a listing, and as long to import as a `plan` takes
otherwise; a gateway may well hold the routes of the whole internet, in which the owned routes are looked for.
Source: include/uapi/linux/rtnetlink.h, include/uapi/linux/fib_rules.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from ipaddress import ip_address

from nvi_operator.kernel.netlink.socket import ACK, DUMP, ROUTE, Netlink
from nvi_operator.language.model.values import Family
from nvi_operator.nft.wire.attributes import attribute

AF: dict[Family, int] = {4: socket.AF_INET, 6: socket.AF_INET6}

_GET_STRICT_CHECK = 12  # NETLINK_GET_STRICT_CHK, Linux 4.20: a listing may be told what of
_MOST_DUMPS = 3  # on a router with much to do something always changes meanwhile


class Rtnetlink(Netlink):
    """Links, addresses, routes, rules and neighbours."""

    def __init__(self) -> None:
        super().__init__(ROUTE)
        self.set(_GET_STRICT_CHECK)

    def request(self, kind: int, flags: int, body: bytes) -> None:
        """Have something changed. Raises OSError with the kernel's own words, and then nothing is."""
        for _ in self.ask(kind, ACK | flags, body):
            pass

    def dump(self, kind: int, body: bytes, matches: Callable[[bytes], bool]) -> list[bytes]:
        """The messages that are asked for; listed again, twice, if they changed meanwhile. Raises OSError."""
        found: list[bytes] = []
        for _ in range(_MOST_DUMPS):
            found, whole = self._dump(kind, body, matches)
            if whole:
                break
        return found

    def _dump(self, kind: int, body: bytes, matches: Callable[[bytes], bool]) -> tuple[list[bytes], bool]:
        try:
            found = [reply.body for reply in self.ask(kind, DUMP, body) if matches(reply.body)]
        except FileNotFoundError:
            return [], True  # of a table that is not there
        return found, not self.interrupted


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
