"""The types of keys and values that have one binary form each. Addresses and ports are in network byte order, marks
and interface numbers in the machine's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.services import PROTOCOL_NAMES, PROTOCOL_NUMBERS
from nvi_operator.nft.ast import Interval, Value
from nvi_operator.nft.values import ends, range_value
from nvi_operator.nft.wire.attributes import WireError


@dataclass(frozen=True)
class Type:
    """`ordered`: bytes compare as values do, so that the kernel can hold intervals of them.

    `code` is the format for the struct module; `column` turns many values into what that takes: addresses from
    objects, protocols from names.
    """

    size: int
    pack: Callable[[Any], bytes]
    unpack: Callable[[bytes], int | str]
    ordered: bool = True
    code: str = ""
    column: Callable[[Iterable[Any]], Iterable[Any]] = iter

    def unpack_range(self, first: bytes, last: bytes) -> Value:
        """The range from `first` to `last`, in the canonical form of values."""
        if first == last:
            return self.unpack(first)
        if self.size in (4, 16):
            return range_value(ip_address(first), ip_address(last))
        return Interval(self.unpack(first), self.unpack(last))


def _protocol(value: int | str) -> bytes:
    return (PROTOCOL_NUMBERS[value] if isinstance(value, str) else value).to_bytes(1, "big")


def _port(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _number(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)


def _unpack_number(raw: bytes) -> int:
    return int.from_bytes(raw, sys.byteorder)


TYPES = {
    "ipv4_addr": Type(
        4,
        lambda value: IPv4Address(value).packed,
        lambda raw: ".".join(map(str, raw)),
        code="I",
        column=lambda addresses: map(int, addresses),
    ),
    "ipv6_addr": Type(
        16,
        lambda value: IPv6Address(value).packed,
        lambda raw: str(IPv6Address(raw)),
        code="16s",
        column=lambda addresses: (address.packed for address in addresses),
    ),
    "inet_proto": Type(
        1,
        _protocol,
        lambda raw: PROTOCOL_NAMES.get(raw[0], raw[0]),
        code="B",
        column=lambda names: map(PROTOCOL_NUMBERS.__getitem__, names),
    ),
    "inet_service": Type(2, _port, lambda raw: int.from_bytes(raw, "big"), code="H"),
    "mark": Type(4, _number, _unpack_number, ordered=False),
    "iface_index": Type(4, _number, _unpack_number, ordered=False),
}


class Packed(dict[Any, bytes]):
    """Values of a type to bytes of a width, each computed once: the same addresses and ports occur many times."""

    def __init__(self, pack: Callable[[Any], bytes], width: int) -> None:
        super().__init__()
        self._pack, self._width = pack, width

    def __missing__(self, value: Any) -> bytes:
        try:
            raw = self._pack(value)
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
            raise WireError(f"{value!r} does not fit: {error}") from error
        self[value] = packed = raw.ljust(self._width, b"\0")
        return packed

    def column(self, values: Sequence[Any]) -> Sequence[bytes]:
        """The bytes of all of them. WireError if one does not fit."""
        return list(map(self.__getitem__, values))


def low_end(type_: Type) -> Callable[[Value], bytes]:
    """Packs the lower end of a value that may be a range or a prefix."""
    return lambda value: type_.pack(ends(value)[0])


def high_end(type_: Type) -> Callable[[Value], bytes]:
    return lambda value: type_.pack(ends(value)[1])
