"""Elements of named sets and maps in the kernel's own form: one NFTA_LIST_ELEM attribute each.

What is packed here is what the kernel dumps, byte for byte, so that the difference of two large maps is a
difference of sets of bytes. Nothing here touches a socket; `nft/messages.py` makes messages of elements,
`kernel/nfnetlink.py` sends them. Which sets go this way is decided by `layout_of`: exact keys, of types with
one binary form. Prefixes and other single-field intervals stay text: the kernel keeps them as pairs of ends
in a tree, with rules for what touches, and they are few.

Source: include/uapi/linux/netfilter/nf_tables.h, nf_tables_fill_setelem() in net/netfilter/nf_tables_api.c.
Attribute headers and marks are in the machine's byte order, addresses and ports in the network's.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from itertools import repeat
from typing import Any

from nvi_operator.nft.values import PROTOCOLS
from nvi_operator.state.nft import Data, Element, NamedSet, Parts, Value, Verdict

_ELEM = 1  # NFTA_LIST_ELEM
_KEY, _DATA, _FLAGS, _USERDATA = 1, 2, 3, 6  # NFTA_SET_ELEM_*
_VALUE, _VERDICT = 1, 2  # NFTA_DATA_*
_CODE, _CHAIN = 1, 2  # NFTA_VERDICT_*
_CODES = {"accept": 1, "drop": 0, "return": -5, "jump": -3}
_VERDICTS = {code: kind for kind, code in _CODES.items()}
_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

_IFNAMSIZ = 16
_NUMBERS = {name: number for number, name in PROTOCOLS.items()}


class WireError(ValueError):
    """Bytes that are no element as we write them, or a value that has no place in a set of its type."""


def attribute(kind: int, payload: bytes) -> bytes:
    """A netlink attribute, padded to 4 bytes."""
    size = 4 + len(payload)
    return struct.pack("=HH", size, kind) + payload + bytes(-size % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of each attribute of a payload. WireError if they do not fit into it."""
    offset = 0
    while offset + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, offset)
        if size < 4 or offset + size > len(data):
            raise WireError(f"attribute of {size} bytes where {len(data) - offset} are left")
        yield kind & _TYPE_MASK, data[offset + 4 : offset + size]
        offset += size + 3 & ~3


# --------------------------------------------------------------------------- values of one type


def _pack_ipv4(value: Value) -> bytes:
    return IPv4Address(value).packed


def _pack_ipv6(value: Value) -> bytes:
    return IPv6Address(value).packed


def _pack_protocol(value: Value) -> bytes:
    number = _NUMBERS.get(value) if isinstance(value, str) else value
    return int(number).to_bytes(1, "big")  # type: ignore[arg-type]


def _unpack_protocol(raw: bytes) -> Value:
    return PROTOCOLS.get(raw[0], raw[0])


def _pack_host(value: Value) -> bytes:
    return int(value).to_bytes(4, sys.byteorder)  # type: ignore[arg-type]


def _pack_port(value: Value) -> bytes:
    return int(value).to_bytes(2, "big")  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Type:
    size: int
    pack: Callable[[Value], bytes]
    unpack: Callable[[bytes], Value]


_TYPES = {
    "ipv4_addr": _Type(4, _pack_ipv4, lambda raw: str(IPv4Address(raw))),
    "ipv6_addr": _Type(16, _pack_ipv6, lambda raw: str(IPv6Address(raw))),
    "inet_proto": _Type(1, _pack_protocol, _unpack_protocol),
    "inet_service": _Type(2, _pack_port, lambda raw: int.from_bytes(raw, "big")),
    "mark": _Type(4, _pack_host, lambda raw: int.from_bytes(raw, sys.byteorder)),
    "iface_index": _Type(4, _pack_host, lambda raw: int.from_bytes(raw, sys.byteorder)),
}


class _Packed(dict[Any, bytes]):
    """Values of one type to their bytes: the same few addresses and ports come again and again."""

    def __init__(self, pack: Callable[[Value], bytes], width: int) -> None:
        super().__init__()
        self._pack, self._width = pack, width

    def __missing__(self, value: Any) -> bytes:
        try:
            raw = value if isinstance(value, bytes) else self._pack(value)
        except (OverflowError, TypeError, ValueError) as error:
            raise WireError(f"{value!r} has no place here: {error}") from error
        packed = raw.ljust(self._width, b"\0")
        self[value] = packed
        return packed


# --------------------------------------------------------------------------- a key, or a value


@dataclass(frozen=True)
class _Tuple:
    """Parts side by side. In a concatenation each is padded to a register of 4 bytes."""

    types: tuple[_Type, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        if len(self.types) == 1:
            return (self.types[0].size,)
        return tuple(type_.size + 3 & ~3 for type_ in self.types)

    def header(self, kind: int) -> bytes:
        """NFTA_SET_ELEM_KEY or _DATA around an NFTA_DATA_VALUE of this size."""
        size = sum(self.widths)
        return struct.pack("=HHHH", 8 + (size + 3 & ~3), kind, 4 + size, _VALUE)

    @property
    def padding(self) -> bytes:
        return bytes(-sum(self.widths) % 4)

    def unpack(self, payload: bytes) -> Parts:
        ((kind, raw),) = attributes(payload)
        if kind != _VALUE or len(raw) != sum(self.widths):
            raise WireError(f"a value of {len(raw)} bytes, not {sum(self.widths)}")
        parts, offset = [], 0
        for type_, width in zip(self.types, self.widths, strict=True):
            parts.append(type_.unpack(raw[offset : offset + type_.size]))
            offset += width
        return tuple(parts)


@dataclass(frozen=True)
class Layout:
    """How the elements of a set with exact keys lie in bytes; see `layout`."""

    key: _Tuple
    value: _Tuple | None  # None: a set, or a map to verdicts
    verdicts: bool = False

    @property
    def size(self) -> int | None:
        """Bytes of one element; None where they differ, because verdicts name chains."""
        if self.verdicts:
            return None
        return 4 + sum(8 + (sum(part.widths) + 3 & ~3) for part in (self.key, self.value) if part)

    def pack(self, elements: Iterable[Element]) -> frozenset[bytes]:
        """The elements in the kernel's form. WireError names a value that does not fit."""
        if self.verdicts:
            return frozenset(self._pack_verdict(*element) for element in elements)  # type: ignore[arg-type]
        return self.pack_rows((*key, *data) if data else key for key, data in elements)  # type: ignore[misc]

    def pack_rows(self, rows: Iterable[tuple[Value | bytes, ...]]) -> frozenset[bytes]:
        """The same of key and value in one flat tuple. An address may be given as the bytes it is.

        Column by column, so that the loops run in C: a map may hold 100,000 elements and more.
        """
        columns = list(zip(*rows, strict=True))
        if not columns:
            return frozenset()
        value = self.value or _Tuple(())
        types, widths = self.key.types + value.types, self.key.widths + value.widths
        if len(columns) != len(types):
            raise WireError(f"{len(columns)} parts where the set has {len(types)}")
        packed = [
            map(_Packed(type_.pack, width).__getitem__, column)
            for type_, width, column in zip(types, widths, columns, strict=True)
        ]
        head = struct.pack("=HH", self.size or 0, _ELEM) + self.key.header(_KEY)
        middle = self.key.padding + (value.header(_DATA) if self.value else b"")
        split = len(self.key.types)
        pieces = zip(repeat(head), *packed[:split], repeat(middle), *packed[split:], repeat(value.padding))
        return frozenset(map(b"".join, pieces))

    def _pack_verdict(self, key: Parts, verdict: Verdict) -> bytes:
        (raw,) = Layout(self.key, None).pack([(key, None)])
        body = attribute(_CODE, struct.pack("!i", _CODES[verdict.kind]))
        if verdict.target:
            body += attribute(_CHAIN, verdict.target.encode() + b"\0")
        return attribute(_ELEM, raw[4:] + attribute(_DATA, attribute(_VERDICT, body)))

    def unpack(self, raw: bytes) -> Element:
        """The element that these bytes are. WireError if it is none that we would write."""
        try:
            ((kind, body),) = attributes(raw)
            found = dict(attributes(body))
            if kind != _ELEM or not found.keys() <= {_KEY, _DATA, _USERDATA}:
                raise WireError(f"an element with attributes {sorted(found)}")
            return self.key.unpack(found[_KEY]), self._unpack_data(found.get(_DATA))
        except (KeyError, IndexError, ValueError, struct.error) as error:
            raise WireError(f"no element of this set: {raw.hex()}") from error

    def _unpack_data(self, payload: bytes | None) -> Data:
        if self.verdicts:
            ((_, verdict),) = attributes(payload or b"")
            found = dict(attributes(verdict))
            (code,) = struct.unpack("!i", found[_CODE])
            chain = found.get(_CHAIN)
            return Verdict(_VERDICTS[code], chain[:-1].decode() if chain else None)  # type: ignore[arg-type]
        if self.value is None:
            if payload is not None:
                raise WireError("a value in a set")
            return None
        return self.value.unpack(payload or b"")

    def split(self, payload: bytes) -> list[bytes]:
        """The elements of an NFTA_SET_ELEM_LIST_ELEMENTS attribute, each with its header."""
        size = self.size
        if size and len(payload) % size == 0 and _all_alike(payload, size):
            return [payload[start : start + size] for start in range(0, len(payload), size)]
        found, offset = [], 0
        while offset < len(payload):
            (length,) = struct.unpack_from("=H", payload, offset)
            end = offset + (max(length, 4) + 3 & ~3)
            found.append(payload[offset:end])
            offset = end
        return found


def _all_alike(payload: bytes, size: int) -> bool:
    """Is there an element of this size at every multiple of it? Compared by column, each in one go."""
    header = struct.pack("=HH", size, _ELEM)
    count = len(payload) // size
    return all(payload[place::size] == header[place : place + 1] * count for place in range(4))


@lru_cache
def layout(key: tuple[str, ...], values: tuple[str, ...] = ()) -> Layout | None:
    """For a set of these nft types; None if one of them has no single binary form that we know."""
    verdicts = values == ("verdict",)
    if not {*key, *(() if verdicts else values)} <= _TYPES.keys():
        return None
    value = _Tuple(tuple(_TYPES[name] for name in values)) if values and not verdicts else None
    return Layout(_Tuple(tuple(_TYPES[name] for name in key)), value, verdicts)


def layout_of(named: NamedSet) -> Layout | None:
    """None for sets whose elements go as text: intervals, and what is none of ours."""
    return None if named.interval or named.foreign else layout(named.key, named.values)
