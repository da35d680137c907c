"""Messages of rtnetlink about routes: their layout, and where a route leads. include/uapi/linux/rtnetlink.h."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping
from ipaddress import ip_address
from types import MappingProxyType

from nvi_operator.kernel.netlink.rtnetlink import shown_number
from nvi_operator.nft.wire.attributes import attributes

NEW, DELETE, GET = 24, 25, 26  # RTM_*ROUTE
# struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
HEADER = struct.Struct("=8BI")
LENGTH_AT, TABLE_AT, PROTOCOL_AT, TYPE_AT = 1, 4, 5, 7
MORE_THAN_A_BYTE = 252  # RT_TABLE_COMPAT: the table's number is in an attribute
DST, OIF, GATEWAY, PRIORITY, SOURCE, METRICS, MULTIPATH, TABLE, VIA, OBJECT = 1, 4, 5, 6, 7, 8, 9, 15, 18, 30  # RTA_*
MTU = 2  # RTAX_MTU, of METRICS
_NEXT_HOP = struct.Struct("=HBBi")  # struct rtnexthop: length, flags, hops, oif; attributes follow
UNICAST = 1  # RTN_UNICAST
LOCAL_TYPE = 2  # RTN_LOCAL
REFUSING = (6, 7, 8)  # RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT
BY_KERNEL = 2  # RTPROT_KERNEL
_FLAGS = struct.Struct("=I")
_FLAGS_AT, _CLONED = 8, 0x200  # RTM_F_CLONED


NextHop = tuple[int | None, str | None]  # the interface's number, and the gateway
NextHopObjects = Mapping[int, Collection[NextHop]]  # by their numbers


def is_cached(body: bytes | memoryview) -> bool:
    """Is it a copy that IPv6 made of a route, for one destination?"""
    return bool(_FLAGS.unpack_from(body, _FLAGS_AT)[0] & _CLONED)


def next_hops(
    attrs: Mapping[int, bytes],
    objects: NextHopObjects = MappingProxyType({}),
) -> Iterator[NextHop]:
    """The interface and the gateway of each next hop of a route; `objects` are those that it may name instead."""
    several = attrs.get(MULTIPATH, b"")
    if names_object_only(attrs):
        yield from objects.get(shown_number(attrs[OBJECT]) or 0, ())
    elif not several:
        yield shown_number(attrs.get(OIF)), gateway_of(attrs)
    offset = 0
    while offset + _NEXT_HOP.size <= len(several):
        length, _, _, oif = _NEXT_HOP.unpack_from(several, offset)
        if length < _NEXT_HOP.size:
            return
        yield oif, gateway_of(dict(attributes(several[offset + _NEXT_HOP.size : offset + length])))
        offset += length + 3 & ~3


def names_object_only(attrs: Mapping[int, bytes]) -> bool:
    """Does the route name a next-hop object, and not what it holds? See kernel/inspect/next_hop_objects.py."""
    return OBJECT in attrs and OIF not in attrs and MULTIPATH not in attrs


def mtu_of(attrs: Mapping[int, bytes]) -> int | None:
    """What a route itself says, in bytes."""
    return shown_number(dict(attributes(attrs.get(METRICS, b""))).get(MTU)) or None


def gateway_of(attrs: Mapping[int, bytes]) -> str | None:
    """RTA_VIA has one of another family than the route's: IPv4 by way of an IPv6 router (RFC 5549)."""
    packed = attrs.get(GATEWAY) or attrs.get(VIA, b"")[2:]
    return str(ip_address(packed)) if packed else None
