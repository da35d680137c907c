"""Foreign routes: in the gateway's tables, with its protocol number, or in the way of its packets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.footprint import footprint
from nvi_operator.doctor.survey import Survey
from nvi_operator.doctor.undeclared import further_networks, routes_by_interface, undeclared
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import Network
from nvi_operator.topology.numbers import TABLES

# /etc/iproute2/rt_protos
_NAMES = {
    2: "the kernel",
    3: "boot scripts",
    4: "the administrator",
    9: "router advertisements",
    11: "Zebra",
    12: "BIRD",
    16: "DHCP",
    18: "keepalived",
    42: "Babel",
    186: "BGP",
    188: "OSPF",
}


def route_table(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Foreign routes in tables that the gateway uses, and foreign rules that look them up."""
    need = footprint(spec)
    used = {r.table for r in survey.routes if r.protocol != need.protocol} | {
        r.table for r in survey.rules if r.protocol != need.protocol and r.table is not None
    }
    for table in sorted(used & need.tables):
        makers = sorted({r.protocol for r in survey.routes if r.table == table and r.protocol != need.protocol})
        names = ", ".join(_NAMES.get(number, f"protocol {number}") for number in makers) or "rules only"
        yield Finding(
            "problem",
            "route-table",
            f"the gateway uses routing table {table}, which is already used by others ({names})",
            f"ip route show table {table}; ip -6 route show table {table}\n"
            f"# in the spec: numbers: {{table: {_free_table(survey)}}}",
        )


def _free_table(survey: Survey) -> int:
    used = {r.table for r in survey.routes} | {r.table for r in survey.rules if r.table is not None}
    return next(base for base in range(7800, 2**31, TABLES) if not used & set(range(base, base + TABLES)))


def route_protocol(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Routes with the gateway's protocol number in foreign tables: an apply would delete them."""
    need = footprint(spec)
    for use in survey.routes:
        # Tables of uplinks that are no longer in the spec lie in the same block.
        if use.protocol == need.protocol and not need.table <= use.table < need.table + TABLES:
            yield Finding(
                "problem",
                "route-protocol",
                f"IPv{use.family} routes in table {use.table} have the gateway's protocol number {need.protocol}: "
                "an apply would delete them",
                f"ip -{use.family} route show table {use.table} proto {need.protocol}\n"
                "# in the spec: numbers: {protocol: N} with an unused number (see /etc/iproute2/rt_protos)",
            )


def wide_route(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Routes to half the internet, such as a VPN's 0.0.0.0/1 and 128.0.0.0/1: not suppressed like a default."""
    for ifname, routes in routes_by_interface(survey, footprint(spec)):
        wide = [route.destination for route in routes if route.wide]
        if wide:
            yield Finding(
                "problem",
                "wide-route",
                f"main has {', '.join(map(str, wide[:4]))}{' ...' if wide[4:] else ''} through {ifname}: translated "
                "packets to there leave by it, whichever uplink their source belongs to",
                "".join(f"ip -{network.version} route del {network} dev {ifname}\n" for network in wide)
                + "# and in the tool that made it; OpenVPN's client: pull-filter ignore redirect-gateway\n"
                f"# or, if it is meant as a way out, in the spec: uplinks: {{NAME: {{interface: {ifname}}}}}",
            )


def multipath_route(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Routes with next hops through uplinks and other interfaces: the kernel's suppressor checks only the first."""
    uplinks = footprint(spec).uplinks
    for route in survey.multipath:
        by_uplink = [ifname for ifname in route.ifnames if ifname in uplinks]
        others = [ifname for ifname in route.ifnames if ifname not in uplinks]
        if by_uplink and others:
            first = route.ifnames[0] in uplinks
            what = (
                f"stage 2 does not see it, so that {others[0]} is not used"
                if first
                else f"part of the flows to there leaves by {by_uplink[0]}, whichever uplink their source belongs to"
            )
            yield Finding(
                "warning",
                "multipath-route",
                f"main has a route to {route.destination} by {' and '.join(route.ifnames)}: {what}",
                f"ip -{route.destination.version} route show {route.destination}\n"
                "# keep in that route only interfaces that are no uplinks; share among uplinks in the spec",
            )


def refusing_default(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """A default route of `main` that refuses: stage 2 asks `main` for its networks, and would end there."""
    for family in sorted(survey.refuses) if spec is not None else ():
        yield Finding(
            "problem",
            "refusing-default",
            f"main's IPv{family} default route refuses: packets of inside hosts that no other route of main takes "
            "end there",
            f"ip -{family} route show default\n# delete it: the tables of uplinks end in unreachable themselves",
        )


def undeclared_interface(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Interfaces with networks that are not in the spec: VPNs, bridges of containers."""
    for ifname, networks in undeclared(survey, footprint(spec)):
        shown, more, rest = _first_of(ifname, networks)
        yield Finding(
            "warning",
            "undeclared-interface",
            f"{ifname} is not in the spec, and leads to {shown}{more}: packets of inside hosts "
            "to there get an ISP's address as source, and replies to connections from there are dropped as leaks "
            "unless another tool, such as a container engine, translates their source",
            f"# in the spec: interfaces: {{{ifname}: {{networks: [{shown}]}}}}{rest}\n"
            "# or ignore this, if inside hosts do not use it",
        )


def undeclared_network(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Networks behind an inside interface that are not in the spec, such as behind another router there."""
    for ifname, networks in further_networks(survey, spec) if spec is not None else ():
        shown, more, rest = _first_of(ifname, networks)
        yield Finding(
            "warning",
            "undeclared-network",
            f"{ifname} leads to {shown}{more} as well, which the spec does not name: packets of "
            "inside hosts to there get an ISP's address as source, and what comes from there is dropped at uplinks",
            f"# in the spec, among the networks of {ifname}: {shown}{rest}\n"
            "# or ignore this, if inside hosts do not use it",
        )


def _first_of(ifname: str, networks: Sequence[Network]) -> tuple[str, str, str]:
    """The first networks behind an interface, an ellipsis if there are more, and a comment how to see those."""
    shown = ", ".join(map(str, networks[:4]))
    if not networks[4:]:
        return shown, "", ""
    return shown, " ...", f"  # and more: ip route show dev {ifname}; ip -6 route show dev {ifname}"
