"""What `main` knows that a gateway needs: default routers, and what lies on the wires of its uplinks.

`main` may hold the routes of the whole internet. A route is parsed only if it is a default one, or if the number of
an uplink's interface is somewhere in its bytes. Of an interface with more than MOST_ROUTES networks only those that
the kernel itself put there are told: what is connected.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterator, Mapping
from ipaddress import IPv6Network, ip_network

from nvi_operator.dataclass import dataclass
from nvi_operator.kernel.inspect.next_hop_objects import read_next_hop_objects
from nvi_operator.kernel.netlink.route_messages import (
    BY_KERNEL,
    DST,
    GET,
    HEADER,
    LENGTH_AT,
    OIF,
    PRIORITY,
    REFUSING,
    TABLE_AT,
    TYPE_AT,
    UNICAST,
    NextHopObjects,
    mtu_of,
    names_object_only,
    next_hops,
)
from nvi_operator.kernel.netlink.rtnetlink import AF, Rtnetlink, number, shown_number, shown_prefix
from nvi_operator.language.model.values import Family
from nvi_operator.nft.wire.attributes import attributes
from nvi_operator.topology.facts import MOST_ROUTES, WIDE, WireRoute
from nvi_operator.topology.numbers import MAIN

_PREF = 20  # RTA_PREF
_NAMES_OBJECT = struct.pack("=HH", 8, 30)  # the header of RTA_NH_ID
MAY_BE_DELEGATED = range(16, 65)  # prefix lengths of refusing routes that clients of DHCPv6 leave
_PREFERENCES = {1: -1, 0: 0, 3: 1}  # ICMPV6_ROUTER_PREF_*: high, medium, low; the least is the best


@dataclass(frozen=True)
class DefaultRoute:
    """One next hop of a default route of `main`; `gateway` None: the other end is on the link."""

    family: Family
    metric: int
    preference: int  # of a router advertisement (RFC 4191): -1 high, 1 low
    oif: int
    gateway: str | None
    mtu: int | None = None  # bytes, of the route; None: it says nothing


@dataclass(frozen=True)
class MainRoutes:
    """`defaults`: the best first. `wires`: networks by ifindex; of a `crowded` one those that are connected.

    `refuses`: families whose best default route is unreachable, prohibited or a blackhole.
    """

    defaults: tuple[DefaultRoute, ...]
    wires: Mapping[int, tuple[WireRoute, ...]]
    crowded: frozenset[int]
    refuses: frozenset[Family]
    unreachable: tuple[IPv6Network, ...] = ()  # networks of MAY_BE_DELEGATED that are refused


def read_main(rtnetlink: Rtnetlink, wires: Collection[int] = ()) -> MainRoutes:
    """`wires`: interfaces, by ifindex. Raises OSError."""
    defaults: set[DefaultRoute] = set()
    found: dict[int, list[WireRoute]] = {oif: [] for oif in wires}
    crowded: set[int] = set()
    refuses: set[Family] = set()
    unreachable: list[IPv6Network] = []
    objects = read_next_hop_objects(rtnetlink)
    for family, af in AF.items():
        seen = _OnWires(family, wires, objects)
        bodies = rtnetlink.dump(GET, HEADER.pack(af, 0, 0, 0, MAIN, 0, 0, 0, 0), seen.is_default)
        usable = {route for body in bodies if body[TYPE_AT] == UNICAST for route in _defaults(family, body, objects)}
        refusing = [_metric(body) for body in bodies if body[TYPE_AT] != UNICAST]
        if refusing and min(refusing) < min((route.metric for route in usable), default=1 << 32):
            refuses.add(family)
        defaults |= usable
        for oif in seen.crowded:
            connected = _OnWires(family, [oif], objects)
            header = HEADER.pack(af, 0, 0, 0, MAIN, BY_KERNEL, 0, 0, 0) + number(OIF, oif)
            rtnetlink.dump(GET, header, connected.is_default)
            seen.networks[oif] = connected.networks[oif]
        unreachable += seen.unreachable
        crowded |= seen.crowded
        for oif, networks in seen.networks.items():
            found[oif] += (
                WireRoute(ip_network(n), via or None, mtu or None) for n, (_, via, mtu) in networks.items()
            )
    ordered = {oif: tuple(sorted(routes, key=_order)) for oif, routes in found.items()}
    refused = tuple(sorted(set(unreachable)))
    return MainRoutes(tuple(sorted(defaults, key=_best)), ordered, frozenset(crowded), frozenset(refuses), refused)


def _order(route: WireRoute) -> tuple[int, int, int]:
    return route.network.version, int(route.network.network_address), route.network.prefixlen


def _best(route: DefaultRoute) -> tuple[int, int, int, str, int, int]:
    return route.family, route.metric, route.preference, route.gateway or "", route.oif, route.mtu or 0


class _OnWires:
    """Looks at a listing of `main`, and keeps what lies on the wires: by network the best metric, gateway and MTU."""

    def __init__(self, family: Family, wires: Collection[int], objects: NextHopObjects) -> None:
        self._objects = objects
        self._wide = WIDE[family]
        self.networks: dict[int, dict[str, tuple[int, str, int]]] = {oif: {} for oif in wires}
        self.crowded: set[int] = set()
        self.unreachable: list[IPv6Network] = []
        self._may_be_delegated = MAY_BE_DELEGATED if family == 6 else range(0)
        self._numbers = pattern(wires)

    def is_default(self, body: bytes) -> bool:
        if body[TABLE_AT] != MAIN:
            return False
        length = body[LENGTH_AT]
        if body[TYPE_AT] in REFUSING and length in self._may_be_delegated and len(self.unreachable) < MOST_ROUTES:
            self.unreachable.append(IPv6Network(shown_prefix(dict(attributes(body[HEADER.size :])).get(DST), length)))
        if length > self._wide and body[TYPE_AT] == UNICAST and self._numbers and self._numbers.search(body):
            self._keep(dict(attributes(body[HEADER.size :])), length)
        return length == 0 and body[TYPE_AT] in (UNICAST, *REFUSING)

    def _keep(self, attrs: Mapping[int, bytes], length: int) -> None:
        network = shown_prefix(attrs.get(DST), length)
        if network is None or ip_network(network).is_multicast:  # some put 224.0.0.0/4 on an interface
            return
        metric, mtu = shown_number(attrs.get(PRIORITY)) or 0, mtu_of(attrs) or 0
        for oif, gateway in next_hops(attrs, self._objects):
            networks = self.networks.get(oif or 0)
            if networks is None or oif in self.crowded:
                continue
            candidate = metric, gateway or "", mtu
            networks[network] = min(networks.get(network, candidate), candidate)
            if len(networks) > MOST_ROUTES:
                self.crowded.add(oif or 0)
                self._numbers = pattern(self.networks.keys() - self.crowded)


def pattern(wires: Collection[int]) -> re.Pattern[bytes] | None:
    """Finds what may be a route by one of these interfaces, and more; what it does not find is none."""
    if not wires:
        return None
    found = [*(struct.pack("=I", oif) for oif in wires), _NAMES_OBJECT]
    return re.compile(b"|".join(map(re.escape, found)), re.DOTALL)


def _metric(body: bytes) -> int:
    return shown_number(dict(attributes(body[HEADER.size :])).get(PRIORITY)) or 0


def _defaults(family: Family, body: bytes, objects: NextHopObjects) -> Iterator[DefaultRoute]:
    attrs = dict(attributes(body[HEADER.size :]))
    metric = shown_number(attrs.get(PRIORITY)) or 0
    preference = _PREFERENCES.get(attrs.get(_PREF, b"\0")[0], 0)
    for oif, gateway in next_hops(attrs, objects):
        if oif is not None:
            yield DefaultRoute(family, metric, preference, oif, gateway, mtu_of(attrs))


def leads_by(message: bytes, wires: Collection[int]) -> bool:
    """Is this route, or one of its next hops, by one of these interfaces? One that names an object may be."""
    attrs = dict(attributes(message[HEADER.size :]))
    return names_object_only(attrs) or any(oif in wires for oif, _ in next_hops(attrs))
