"""The guard of an interface's ingress (programs/ingress_guard.bpf.c): its map of addresses. Pure."""

from __future__ import annotations

import sys
from collections.abc import Collection
from functools import reduce
from ipaddress import IPv6Address, ip_address
from operator import xor

from nvi_operator.kernel.bpf.guard import GuardProgram
from nvi_operator.kernel.bpf.maps import HASH, NO_PREALLOC, MapInfo

REASONS = ("ingress_spoofed",)
ADDRESSES = "nvi_addresses"

_FEWEST = 64
_BITS = 11  # of the number of a bit in `strangers`
_MULTIPLIER = 0x9E3779B1
_MAPPED = b"\0\0\xff\xff"  # an IPv4 address is kept as ::ffff:a.b.c.d, which ip6_rcv_core() never takes as a source


def addresses_map(count: int) -> MapInfo:
    """A table of the smallest power of two that holds so many, because the kernel allocates its buckets at once."""
    return MapInfo(ADDRESSES, HASH, 16, 4, max(_FEWEST, 1 << (count - 1).bit_length()), NO_PREALLOC)


def as_element(address: str) -> tuple[bytes, bytes]:
    """Key and value of the map."""
    found = ip_address(address)
    return found.packed if found.version == 6 else bytes(8) + _MAPPED + found.packed, bytes(4)


def parse_element(key: bytes, value: bytes) -> str:
    found = IPv6Address(key)
    return str(found.ipv4_mapped or found)


def constants(addresses: Collection[str]) -> dict[str, int]:
    """Of which sources the program need not ask the map: those with a bit in `strangers`."""
    bits = (1 << (1 << _BITS)) - 1
    for address in addresses:
        bits &= ~(1 << _bit(as_element(address)[0]))
    return {"strangers": int.from_bytes(bits.to_bytes((1 << _BITS) // 8, "little"), sys.byteorder)}


def _bit(key: bytes) -> int:
    """As is_stranger() of the program has it."""
    words = (int.from_bytes(key[at : at + 4], sys.byteorder) for at in range(0, len(key), 4))
    return (reduce(xor, words) * _MULTIPLIER & 0xFFFFFFFF) >> (32 - _BITS)


INGRESS = GuardProgram("ingress", REASONS, addresses_map, as_element, parse_element, constants)
