"""Routes of the operator's protocol number, in any table."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address

from nvi_operator.errors import ConflictError
from nvi_operator.kernel.drivers.rtnetlink import RtnetlinkDriver
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netlink.interfaces import ifindex_for
from nvi_operator.kernel.netlink.route_messages import (
    DELETE,
    DST,
    GATEWAY,
    GET,
    HEADER,
    METRICS,
    MTU,
    NEW,
    OIF,
    PRIORITY,
    PROTOCOL_AT,
    SOURCE,
    TABLE,
    UNICAST,
    VIA,
    gateway_of,
    mtu_of,
)
from nvi_operator.kernel.netlink.rtnetlink import AF, number, prefix, shown_number, shown_prefix
from nvi_operator.kernel.netlink.socket import CREATE, EXCLUSIVE, REPLACE
from nvi_operator.kinds.route import ROUTE, Route
from nvi_operator.language.model.values import Family
from nvi_operator.nft.wire.attributes import attribute, attributes
from nvi_operator.plan.change import Action, Change
from nvi_operator.state.host import HostState

_TYPES = {"unicast": UNICAST, "unreachable": 7}
_LINK_SCOPE = 253  # RT_SCOPE_LINK: the other end is on the link
_ANY_TYPE, _ANY_SCOPE = 0, 255  # RTN_UNSPEC, RT_SCOPE_NOWHERE: what iproute2 sends with a delete
_ONLINK = 4
_DEFAULT: dict[Family, str] = {4: "0.0.0.0/0", 6: "::/0"}


class RouteDriver(RtnetlinkDriver):
    kind = ROUTE.name
    looks_where_desired = False
    reported = "route"

    def observe(self, desired: HostState) -> Iterator[Route]:
        for family, af in AF.items():
            # The kernel leaves out the others: they may be those of the whole internet.
            request = HEADER.pack(af, 0, 0, 0, 0, self._protocol, 0, 0, 0)
            with kernel_errors("routes: listing"):
                routes = self._rtnetlink.dump(GET, request, lambda body: body[PROTOCOL_AT] == self._protocol)
            yield from (_parse(family, body) for body in routes)

    def devices(self) -> frozenset[str]:
        """The links that owned routes lead into."""
        return frozenset(route.dev for route in self.observe(HostState()) if route.dev is not None)

    def check(self, change: Change) -> None:
        """ConflictError if a route of others has the key of one to create, in a table without owned routes."""
        if change.action is Action.CREATE and isinstance(change.after, Route):
            owned, protocol = self._in_place_of(change.after)
            if protocol is not None and not owned:
                raise _conflict(change.after, protocol)

    def apply(self, change: Change) -> None:
        """Updates go by `replace`, so that there is no moment without a route.

        So does a create where another process replaced an owned route: `ip route replace` changes its protocol.
        """
        if isinstance(change.after, Route):
            try:
                self._create(change.after, EXCLUSIVE if change.action is Action.CREATE else REPLACE)
            except FileExistsError:
                self._create_in_place(change.after)
        elif isinstance(change.before, Route):
            with kernel_errors(f"route {change.ref.key}: delete"):
                # Owned by its protocol, whatever its scope and type are: the kernel compares those that are given.
                self._rtnetlink.request(DELETE, 0, self._packed(change.before, _ANY_SCOPE, _ANY_TYPE))

    def _create(self, route: Route, flag: int) -> None:
        with kernel_errors(f"route {route.key}: create", passing=FileExistsError):
            self._rtnetlink.request(NEW, CREATE | flag, self._packed(route, _scope(route), _TYPES[route.type]))

    def _create_in_place(self, route: Route) -> None:
        owned, protocol = self._in_place_of(route)
        if protocol is not None and not owned:
            raise _conflict(route, protocol)
        self._create(route, REPLACE)

    def _in_place_of(self, route: Route) -> tuple[bool, int | None]:
        """Does the route's table hold owned routes, and the protocol of a foreign route with the same key, if any?"""
        owned, protocol = False, None
        asked = HEADER.pack(AF[route.family], *bytes(7), 0) + number(TABLE, route.table)
        with kernel_errors(f"routing table {route.table}: listing"):
            bodies = self._rtnetlink.dump(GET, asked, lambda body: True)
        for body in bodies:
            found = _parse(route.family, body)
            if found.table == route.table and body[PROTOCOL_AT] == self._protocol:
                owned = True
            elif found.key == route.key:
                protocol = body[PROTOCOL_AT]
        return owned, protocol

    def _packed(self, route: Route, scope: int, type_: int) -> bytes:
        destination, length = prefix(DST, route.destination)
        flags = _ONLINK if route.onlink else 0
        parts = [
            HEADER.pack(AF[route.family], length, 0, 0, 0, self._protocol, scope, type_, flags),
            destination,
            number(TABLE, route.table),
            number(PRIORITY, route.metric),
        ]
        if route.dev is not None:
            parts.append(number(OIF, ifindex_for(f"route {route.key}", route.dev)))
        if route.via is not None:
            parts.append(_packedgateway_of(route.family, route.via))
        if route.source is not None:
            parts.append(attribute(SOURCE, ip_address(route.source).packed))
        if route.mtu is not None:
            parts.append(attribute(METRICS, number(MTU, route.mtu)))
        return b"".join(parts)


def _conflict(route: Route, protocol: int) -> ConflictError:
    return ConflictError(
        f"route {route.key}: create: a route of protocol {protocol} is there already",
        hint=f"see ip -{route.family} route show table {route.table}; or give this gateway other tables: "
        "numbers: {table: N}",
    )


def _packedgateway_of(family: Family, via: str) -> bytes:
    gateway = ip_address(via)
    if gateway.version == family:
        return attribute(GATEWAY, gateway.packed)
    return attribute(VIA, struct.pack("=H", AF[gateway.version]) + gateway.packed)  # struct rtvia


def _scope(route: Route) -> int:
    """The scope that iproute2 chooses."""
    return _LINK_SCOPE if route.family == 4 and route.type == "unicast" and route.via is None else 0


def _name_of(ifindex: int) -> str:
    """An interface that has gone since the kernel spoke of it has a name that no interface can have."""
    try:
        return socket.if_indextoname(ifindex)
    except OSError:
        return f"#{ifindex}"


def _parse(family: Family, body: bytes) -> Route:
    _, length, _, _, _, _, _, type_, flags = HEADER.unpack_from(body)
    attrs = dict(attributes(body[HEADER.size :]))
    unreachable = type_ == _TYPES["unreachable"]
    oif = shown_number(attrs.get(OIF))
    return Route(
        family,
        shown_number(attrs.get(TABLE)) or 0,
        shown_prefix(attrs.get(DST), length) or _DEFAULT[family],
        "unreachable" if unreachable else "unicast",
        # The kernel files IPv6 unreachable routes under lo.
        None if unreachable or oif is None else _name_of(oif),
        gateway_of(attrs),
        shown_number(attrs.get(PRIORITY)) or 0,
        bool(flags & _ONLINK),
        str(ip_address(attrs[SOURCE])) if attrs.get(SOURCE) else None,
        mtu_of(attrs),
    )
