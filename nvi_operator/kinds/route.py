"""Routes, all of them in owned tables: into the device, through each uplink, to each tenant's networks.

Every table ends in `unreachable`, so that a route that vanishes with its interface never lets a lookup
fall through to `main`, where the packet would leave untranslated or by the wrong uplink.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.kind import Kind, Phase, command
from nvi_operator.language.model.values import Family
from nvi_operator.topology.interfaces import Uplink
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import UNREACHABLE_METRIC, own_table, routed_table, table_name
from nvi_operator.topology.prefixes import ANY


@dataclass(frozen=True)
class Route:
    """One route; `metric` is part of its identity in both families."""

    family: Literal[4, 6]
    table: int
    destination: str  # a prefix, "0.0.0.0/0" and "::/0" for the default
    type: Literal["unicast", "unreachable"] = "unicast"
    dev: str | None = None
    via: str | None = None
    metric: int = 1024
    onlink: bool = False
    source: str | None = None  # of what the gateway itself sends this way
    mtu: int | None = None  # bytes; None: the interface's

    @property
    def key(self) -> str:
        return f"{self.destination} table {self.table} metric {self.metric}"


def _desired(topology: Topology) -> Iterator[Route]:
    for family in topology.families:
        yield _into_device(topology, family)
        yield _fallback(family, topology.table)
        for uplink in topology.uplinks:
            if family in uplink.families:
                yield from _through(uplink, family)
            if family in uplink.families or not uplink.families:  # none: it waits for its first address
                yield _fallback(family, uplink.table)
        for uplink in topology.own_uplinks(family):
            yield from _own(topology, uplink, family)
        for network in topology.kept_here(family):
            yield Route(family, routed_table(topology.table), str(network), "unreachable")
    for tenant in topology.tenants:
        for inside in topology.inside_interfaces:
            if inside.tenant == tenant.number and inside.interface.up:
                for network in inside.networks:
                    yield Route(network.version, tenant.table, str(network), dev=inside.interface.ifname)


# No host has them: the dummy address of RFC 7600, and a link-local one that the device does not have.
_NEXT_HOPS = {4: "192.0.0.8", 6: "fe80::1"}


def _into_device(topology: Topology, family: Family) -> Route:
    """Routes by way of one next hop: otherwise the kernel keeps a neighbour for every destination.

    They count against gc_thresh3 (1024), which all interfaces and namespaces of a machine share.
    """
    hop, onlink = _NEXT_HOPS[family], family == 4  # a link-local next hop needs no network to be in
    return Route(family, topology.table, ANY[family], dev=topology.device, via=hop, onlink=onlink)


def _fallback(family: Family, table: int) -> Route:
    return Route(family, table, ANY[family], "unreachable", metric=UNREACHABLE_METRIC)


def _through(uplink: Uplink, family: Family) -> Iterator[Route]:
    """`onlink`, because a next hop may be known before the address that would make it reachable.

    With the MTU of the routes of `main`, where a client of DHCP writes what the ISP says (dhcpcd, option 26).
    What `main` knows through the interface comes first: hosts beside the gateway, and networks behind other routers
    of that wire. The uplink's router need not lead there.
    """
    if not uplink.interface.up:
        return
    for known in uplink.wire:
        if known.network.version == family:
            network, via, dev = str(known.network), known.via, uplink.interface.ifname
            yield Route(family, uplink.table, network, dev=dev, via=via, onlink=via is not None, mtu=known.mtu)
    next_hop, mtu = uplink.next_hops.get(family), uplink.route_mtus.get(family)
    if next_hop is not None:
        yield Route(
            family, uplink.table, ANY[family], dev=uplink.interface.ifname, via=next_hop, onlink=True, mtu=mtu
        )
    elif uplink.is_direct(family):
        yield Route(family, uplink.table, ANY[family], dev=uplink.interface.ifname, mtu=mtu)


def _own(topology: Topology, uplink: Uplink, family: Family) -> Iterator[Route]:
    """Routes for what the gateway itself sends: with a source, which the kernel would otherwise choose.

    Hosts beside the gateway see the address in their network.
    """
    table = own_table(topology.table, uplink.slot)
    yield _fallback(family, table)
    source = topology.own_source(uplink, family)
    if source is None:
        return
    beside = {str(network): str(address) for network, address in uplink.beside}
    for route in _through(uplink, family):
        yield replace(route, table=table, source=beside.get(route.destination, str(source)))


def _phase(route: Route) -> Phase:
    """The gateway's own ways are there before the FIB rules that lead to them."""
    return Phase.UNREACHABLE if route.type == "unreachable" or route.source else Phase.ROUTES


def _words(route: Route) -> Iterator[object]:
    """The arguments of `ip route add`."""
    if route.type == "unreachable":
        yield route.type
    yield route.destination
    for word, value in (("via", route.via), ("dev", route.dev)):
        if value:
            yield from (word, value)
    yield from ("table", table_name(route.table), "metric", route.metric)
    if route.onlink:
        yield "onlink"
    if route.source:
        yield from ("src", route.source)
    if route.mtu:
        yield from ("mtu", route.mtu)


def _describe(route: Route) -> str:
    return " ".join(map(str, (f"-{route.family}", *_words(route))))


def _script(route: Route, topology: Topology) -> Iterator[str]:
    yield command("ip", f"-{route.family}", "route", "add", *_words(route), "proto", topology.protocol)


ROUTE = Kind(
    "route",
    Route,
    "ip route",
    _desired,
    phase=_phase,
    describe=_describe,
    script=_script,
    lives_on=lambda route: route.dev,
)
