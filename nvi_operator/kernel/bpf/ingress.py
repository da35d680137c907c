"""The guard of an interface's ingress (programs/ingress_guard.bpf.c): its map of addresses. Pure."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from nvi_operator.kernel.bpf.guard import GuardProgram
from nvi_operator.kernel.bpf.maps import HASH, NO_PREALLOC, MapInfo

REASONS = ("ingress_spoofed",)
ADDRESSES = "nvi_addresses"

_FEWEST = 64
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


INGRESS = GuardProgram("ingress", REASONS, addresses_map, as_element, parse_element)
