"""Routes of our protocol number, in any table."""

from __future__ import annotations

import socket
import struct
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import MappingProxyType

from nvi_operator.errors import ConflictError
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netlink.rtnetlink import AF, Rtnetlink, number, prefix, shown_number, shown_prefix
from nvi_operator.kernel.netlink.socket import CREATE, EXCLUSIVE, REPLACE
from nvi_operator.kinds.route import Route
from nvi_operator.language.model.values import Family
from nvi_operator.nft.wire.attributes import attribute, attributes
from nvi_operator.plan.change import Action, Change
from nvi_operator.state.host import HostState
from nvi_operator.topology.numbers import MAIN

_NEW, _DELETE, GET = 24, 25, 26  # RTM_*ROUTE
# struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
HEADER = struct.Struct("=8BI")
LENGTH_AT, TABLE_AT, _PROTOCOL_AT, TYPE_AT = 1, 4, 5, 7
_MORE_THAN_A_BYTE = 252  # RT_TABLE_COMPAT: the table's number is in an attribute
_DST, _OIF, _GATEWAY, _PRIORITY, _MULTIPATH, _TABLE, _VIA, _OBJECT = 1, 4, 5, 6, 9, 15, 18, 30  # RTA_*
_NEXT_HOP = struct.Struct("=HBBi")  # struct rtnexthop: length, flags, hops, oif; attributes follow
UNICAST = 1  # RTN_UNICAST
REFUSING = (6, 7, 8)  # RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT
_TYPES = {"unicast": UNICAST, "unreachable": 7}
_LINK_SCOPE = 253  # RT_SCOPE_LINK: the other end is on the link
_ANY_TYPE, _ANY_SCOPE = 0, 255  # RTN_UNSPEC, RT_SCOPE_NOWHERE: what iproute2 sends with a delete
_ONLINK = 4
_DEFAULT: dict[Family, str] = {4: "0.0.0.0/0", 6: "::/0"}


class RouteDriver(Driver):
    kind = "route"

    def __init__(self, rtnetlink: Rtnetlink, protocol: int) -> None:
        self._rtnetlink = rtnetlink
        self._protocol = protocol

    def observe(self, desired: HostState) -> Iterator[Route]:
        for family, af in AF.items():
            # The kernel leaves out the others: they may be those of the whole internet.
            ours = HEADER.pack(af, 0, 0, 0, 0, self._protocol, 0, 0, 0)
            with kernel_errors("routes: listing"):
                routes = self._rtnetlink.dump(GET, ours, lambda body: body[_PROTOCOL_AT] == self._protocol)
            yield from (_parse(family, body) for body in routes)

    def devices(self) -> frozenset[str]:
        """The links that our routes lead into."""
        return frozenset(route.dev for route in self.observe(HostState()) if route.dev is not None)

    def check(self, change: Change) -> None:
        """ConflictError if a route of others has the key of one to create, in a table that holds none of ours."""
        if change.action is Action.CREATE and isinstance(change.after, Route):
            ours, protocol = self._in_place_of(change.after)
            if protocol is not None and not ours:
                raise _conflict(change.after, protocol)

    def apply(self, change: Change) -> None:
        """Updates go by `replace`, so that there is no moment without a route.

        So does a create where others replaced ours: `ip route replace` changes the protocol as well.
        """
        if isinstance(change.after, Route):
            try:
                self._create(change.after, EXCLUSIVE if change.action is Action.CREATE else REPLACE)
            except FileExistsError:
                self._create_in_place(change.after)
        elif isinstance(change.before, Route):
            with kernel_errors(f"route {change.ref.key}: delete"):
                # Ours by its protocol, whatever its scope and type are: the kernel compares those that are given.
                self._rtnetlink.request(_DELETE, 0, self._packed(change.before, _ANY_SCOPE, _ANY_TYPE))

    def _create(self, route: Route, flag: int) -> None:
        with kernel_errors(f"route {route.key}: create", passing=FileExistsError):
            self._rtnetlink.request(_NEW, CREATE | flag, self._packed(route, _scope(route), _TYPES[route.type]))

    def _create_in_place(self, route: Route) -> None:
        ours, protocol = self._in_place_of(route)
        if protocol is not None and not ours:
            raise _conflict(route, protocol)
        self._create(route, REPLACE)

    def _in_place_of(self, route: Route) -> tuple[bool, int | None]:
        """Does the route's table hold any of ours, and the protocol of others' route with the same key, if any."""
        ours, protocol = False, None
        asked = HEADER.pack(AF[route.family], *bytes(7), 0) + number(_TABLE, route.table)
        with kernel_errors(f"routing table {route.table}: listing"):
            bodies = self._rtnetlink.dump(GET, asked, lambda body: True)
        for body in bodies:
            found = _parse(route.family, body)
            if found.table == route.table and body[_PROTOCOL_AT] == self._protocol:
                ours = True
            elif found.key == route.key:
                protocol = body[_PROTOCOL_AT]
        return ours, protocol

    def _packed(self, route: Route, scope: int, type_: int) -> bytes:
        destination, length = prefix(_DST, route.destination)
        flags = _ONLINK if route.onlink else 0
        parts = [
            HEADER.pack(AF[route.family], length, 0, 0, 0, self._protocol, scope, type_, flags),
            destination,
            number(_TABLE, route.table),
            number(_PRIORITY, route.metric),
        ]
        if route.dev is not None:
            with kernel_errors(f"route {route.key}: finding {route.dev}"):
                parts.append(number(_OIF, socket.if_nametoindex(route.dev)))
        if route.via is not None:
            parts.append(_packed_gateway(route.family, route.via))
        return b"".join(parts)


def next_hops(
    said: Mapping[int, bytes], objects: Mapping[int, Collection[tuple[int | None, str | None]]] = MappingProxyType({})
) -> Iterator[tuple[int | None, str | None]]:
    """The interface and the gateway of each next hop of a route; `objects` are those that it may name instead."""
    several = said.get(_MULTIPATH, b"")
    if names_object_only(said):
        yield from objects.get(shown_number(said[_OBJECT]) or 0, ())
    elif not several:
        yield shown_number(said.get(_OIF)), _gateway(said)
    offset = 0
    while offset + _NEXT_HOP.size <= len(several):
        length, _, _, oif = _NEXT_HOP.unpack_from(several, offset)
        if length < _NEXT_HOP.size:
            return
        yield oif, _gateway(dict(attributes(several[offset + _NEXT_HOP.size : offset + length])))
        offset += length + 3 & ~3


def names_object_only(said: Mapping[int, bytes]) -> bool:
    """Does the route name a next-hop object, and not what it holds? See kernel/inspect/next_hop_objects.py."""
    return _OBJECT in said and _OIF not in said and _MULTIPATH not in said


def _gateway(said: Mapping[int, bytes]) -> str | None:
    """RTA_VIA has one of another family than the route's: IPv4 by way of an IPv6 router (RFC 5549)."""
    packed = said.get(_GATEWAY) or said.get(_VIA, b"")[2:]
    return str(ip_address(packed)) if packed else None


@dataclass
class Census:
    """Everybody's routes of one family: the protocols in each table, and where the unicast ones of `main` lead.

    Of each interface at most so many networks are kept, but all of a length up to `wide`. Of a million routes hardly
    any is parsed: of an interface with enough of them the attribute is looked for as bytes.
    """

    family: Family
    wide: int
    most: int
    objects: Mapping[int, Collection[tuple[int | None, str | None]]]
    uses: set[tuple[int, int]] = field(default_factory=set)  # table and protocol
    networks: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))  # by ifindex
    multipath: set[tuple[str, tuple[int, ...]]] = field(default_factory=set)  # network and ifindexes
    _enough: set[bytes] = field(default_factory=set)

    def take(self, rtnetlink: Rtnetlink) -> None:
        """Raises OSError. A listing that was interrupted is made anew: hence sets."""
        rtnetlink.dump(GET, HEADER.pack(AF[self.family], *bytes(7), 0), self._look)

    def _look(self, body: bytes) -> bool:
        length, table = body[LENGTH_AT], body[TABLE_AT]
        if table == _MORE_THAN_A_BYTE:
            table = shown_number(dict(attributes(body[HEADER.size :])).get(_TABLE)) or 0
        self.uses.add((table, body[_PROTOCOL_AT]))
        if table == MAIN and length and body[TYPE_AT] == UNICAST:
            wide = length <= self.wide
            if wide or not any(oif in body for oif in self._enough):
                self._keep(dict(attributes(body[HEADER.size :])), length, wide)
        return False

    def _keep(self, said: dict[int, bytes], length: int, wide: bool) -> None:
        network = shown_prefix(said.get(_DST), length)
        oifs = [oif or 0 for oif, _ in next_hops(said, self.objects)]
        if len(oifs) > 1 and network and len(self.multipath) < self.most:
            self.multipath.add((network, tuple(oifs)))
        for oif in filter(None, oifs):
            networks = self.networks[oif]
            if network and (wide or len(networks) < self.most):
                networks.add(network)
            elif network:
                self._enough.add(number(_OIF, oif))


def _conflict(route: Route, protocol: int) -> ConflictError:
    return ConflictError(
        f"route {route.key}: create: a route of protocol {protocol} is there",
        hint=f"see ip -{route.family} route show table {route.table}; or give this gateway other tables: "
        "numbers: {table: N}",
    )


def _packed_gateway(family: Family, via: str) -> bytes:
    gateway = ip_address(via)
    if gateway.version == family:
        return attribute(_GATEWAY, gateway.packed)
    return attribute(_VIA, struct.pack("=H", AF[gateway.version]) + gateway.packed)  # struct rtvia


def _scope(route: Route) -> int:
    """As iproute2 chooses it."""
    return _LINK_SCOPE if route.family == 4 and route.type == "unicast" and route.via is None else 0


def _name_of(ifindex: int) -> str:
    """An interface that has gone since the kernel spoke of it has a name that no interface can have."""
    try:
        return socket.if_indextoname(ifindex)
    except OSError:
        return f"#{ifindex}"


def _parse(family: Family, body: bytes) -> Route:
    _, length, _, _, _, _, _, type_, flags = HEADER.unpack_from(body)
    said = dict(attributes(body[HEADER.size :]))
    unreachable = type_ == _TYPES["unreachable"]
    oif = shown_number(said.get(_OIF))
    return Route(
        family,
        shown_number(said.get(_TABLE)) or 0,
        shown_prefix(said.get(_DST), length) or _DEFAULT[family],
        "unreachable" if unreachable else "unicast",
        # The kernel files IPv6 unreachable routes under lo.
        None if unreachable or oif is None else _name_of(oif),
        _gateway(said),
        shown_number(said.get(_PRIORITY)) or 0,
        bool(flags & _ONLINK),
    )
