"""Netlink attributes: a length and a type in the machine's byte order, a payload, padding to 4 bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator

NESTED = 0x8000  # NLA_F_NESTED: libnftables sets it, the kernel's dumps do not, and both read either form
_TYPE_MASK = 0x3FFF
_HEADER = struct.Struct("=HH")


class WireError(ValueError):
    """Bytes in a form that the codecs do not write, or a value that does not fit into a set of its type."""


def attribute(kind: int, payload: bytes) -> bytes:
    size = 4 + len(payload)
    return struct.pack("=HH", size, kind) + payload + bytes(-size % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of each attribute. WireError where one does not fit."""
    offset = 0
    while offset < len(data):
        if len(data) - offset < 4:
            raise WireError(f"{len(data) - offset} bytes where an attribute should be")
        size, kind = _HEADER.unpack_from(data, offset)
        if size < 4 or offset + size > len(data):
            raise WireError(f"an attribute of {size} bytes where {len(data) - offset} are left")
        yield kind & _TYPE_MASK, data[offset + 4 : offset + size]
        offset += size + 3 & ~3


def only(data: bytes) -> tuple[int, bytes]:
    """The single attribute in `data`. WireError if there are several, or none."""
    if len(data) >= 4:
        size, kind = _HEADER.unpack_from(data)
        if 4 <= size <= len(data) <= size + 3:
            return kind & _TYPE_MASK, data[4:size]
    found = list(attributes(data))
    if len(found) != 1:
        raise WireError(f"{len(found)} attributes where one should be")
    return found[0]


def read_number(payload: bytes) -> int:
    """A number in network byte order, as nfnetlink has them."""
    return int.from_bytes(payload, "big")


def read_text(payload: bytes) -> str:
    return payload.rstrip(b"\0").decode(errors="replace")
