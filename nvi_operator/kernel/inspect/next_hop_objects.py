"""Next-hop objects (`ip nexthop`), for routes that do not say themselves where they lead.

With net.ipv4.nexthop_compat_mode 0 the kernel lists a route by an object, of either family, with the object's number
alone: no interface, no gateway (Linux 6.18). With 1, the default, it adds what the object holds.
Source: include/uapi/linux/nexthop.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from nvi_operator.kernel.netlink.route_messages import NextHop, NextHopObjects
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink, shown_number
from nvi_operator.nft.wire.attributes import attributes

_COMPAT_MODE = Path("/proc/sys/net/ipv4/nexthop_compat_mode")  # of the reading thread's namespace
_GET = 106  # RTM_GETNEXTHOP
_HEADER = 8  # bytes of struct nhmsg
_ID, _GROUP, _OIF, _GATEWAY = 1, 2, 5, 6  # NHA_*
_MEMBER = struct.Struct("=IBBH")  # struct nexthop_grp: id, weight, ...


def read_next_hop_objects(rtnetlink: Rtnetlink) -> NextHopObjects:
    """Next hops by the number of their object or group; empty where routes name them themselves. Raises OSError."""
    if not _routes_name_objects_only():
        return {}
    single: dict[int, NextHop] = {}
    groups: dict[int, tuple[int, ...]] = {}
    for body in rtnetlink.dump(_GET, bytes(_HEADER), lambda _: True):
        found = dict(attributes(body[_HEADER:]))
        number = shown_number(found.get(_ID)) or 0
        if _GROUP in found:
            groups[number] = tuple(_members(found[_GROUP]))
        else:
            gateway = found.get(_GATEWAY)
            single[number] = shown_number(found.get(_OIF)), str(ip_address(gateway)) if gateway else None
    several = {number: tuple(single[m] for m in members if m in single) for number, members in groups.items()}
    return {number: (hop,) for number, hop in single.items()} | several


def _routes_name_objects_only() -> bool:
    try:
        return _COMPAT_MODE.read_text(encoding="ascii").strip() == "0"
    except OSError:
        return False  # a kernel without next-hop objects


def _members(payload: bytes) -> Iterator[int]:
    for offset in range(0, len(payload) - _MEMBER.size + 1, _MEMBER.size):
        yield _MEMBER.unpack_from(payload, offset)[0]
