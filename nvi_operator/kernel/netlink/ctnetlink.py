"""How ctnetlink writes a flow, and how it is asked for flows: what all readers of the connection tracking table need.

The kernel filters a dump: by status and mark, each with a mask, and by parts of a tuple (CTA_FILTER, Linux 5.8), so
that of a million entries only those that are meant cross into user space. Source:
net/netfilter/nf_conntrack_netlink.c.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from nvi_operator.language.model.values import Address, Family
from nvi_operator.nft.wire.attributes import NESTED, attribute, attributes

NEW, GET, DELETE = 0x100, 0x101, 0x102  # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_*
ORIG, REPLY, STATUS, TIMEOUT, MARK, COUNTERS_ORIG, COUNTERS_REPLY = 1, 2, 3, 7, 8, 9, 10  # CTA_*
ID, ZONE, TIMES, MARK_MASK, STATUS_MASK = 12, 18, 20, 21, 26
SEEN_REPLY, SRC_NAT, DST_NAT = 1 << 1, 1 << 4, 1 << 5  # IPS_*
BY_SOURCE, BY_DESTINATION = 1 << 0, 1 << 1  # CTA_FILTER_F_CTA_IP_SRC, _DST

_FILTER = 25  # CTA_FILTER
_FILTER_FLAGS = {ORIG: 1, REPLY: 2}  # CTA_FILTER_ORIG_FLAGS ...
_IP, _PROTO, _TUPLE_ZONE = 1, 2, 3  # CTA_TUPLE_*
_SOURCE, _DESTINATION = {4: 1, 6: 3}, {4: 2, 6: 4}  # CTA_IP_V4_SRC ...
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3  # CTA_PROTO_*
_PACKETS, _BYTES = 1, 2  # CTA_COUNTERS_*
_AF: dict[Family, int] = {4: 2, 6: 10}


class FlowEnds(NamedTuple):
    """A tuple of conntrack. Ports are 0 where the protocol has none."""

    source: bytes
    source_port: int
    destination: bytes
    destination_port: int
    protocol: int
    zone: int


def flow_ends(data: bytes) -> FlowEnds:
    parts = dict(attributes(data))
    addresses, protocol = dict(attributes(parts[_IP])), dict(attributes(parts[_PROTO]))
    version = 4 if _SOURCE[4] in addresses else 6
    return FlowEnds(
        addresses[_SOURCE[version]],
        number(protocol, _SOURCE_PORT),
        addresses[_DESTINATION[version]],
        number(protocol, _DESTINATION_PORT),
        protocol[_NUMBER][0],
        number(parts, _TUPLE_ZONE),
    )


def number(parts: Mapping[int, bytes], kind: int) -> int:
    """Numbers are in network byte order; one that is not there is 0."""
    return int.from_bytes(parts.get(kind, b""), "big")


def counted(parts: Mapping[int, bytes]) -> tuple[int, int] | None:
    """Packets and bytes of both directions; None where the host does not count them."""
    found = [counter(parts[kind]) for kind in (COUNTERS_ORIG, COUNTERS_REPLY) if kind in parts]
    return (sum(packets for packets, _ in found), sum(octets for _, octets in found)) if found else None


def counter(data: bytes) -> tuple[int, int]:
    """Packets and bytes of one direction."""
    parts = dict(attributes(data))
    return number(parts, _PACKETS), number(parts, _BYTES)


def as_address(packed: bytes) -> Address:
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)


def body(family: Family, attrs: bytes) -> bytes:
    """Of a request: struct nfgenmsg, and attributes."""
    return struct.pack("=BBH", _AF[family], 0, 0) + attrs


def only(address: Address, direction: int, end: int) -> bytes:
    """Attributes for a dump of the flows with the address at one end of a direction."""
    place = (_SOURCE if end == BY_SOURCE else _DESTINATION)[address.version]
    ip = attribute(NESTED | _IP, attribute(place, address.packed))
    flags = attribute(_FILTER_FLAGS[direction], struct.pack("=I", end))
    return attribute(NESTED | direction, ip) + attribute(NESTED | _FILTER, flags)
