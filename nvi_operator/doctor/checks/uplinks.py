"""Addresses of uplinks: present on their interfaces, on one uplink only, and answered for on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.survey import Survey
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import within
from nvi_operator.topology.addresses import find_addresses
from nvi_operator.topology.facts import MOST_ROUTES, Facts


def addresses(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Addresses of uplinks that are not on their interfaces."""
    for name, uplink in sorted(spec.uplinks.items()) if spec is not None else ():
        link = survey.links.get(uplink.interface)
        if link is None:
            continue
        there = {interface.ip for interface in link.addresses}
        if uplink.addresses == "auto":
            if not there:
                yield Finding(
                    "warning",
                    "addresses",
                    f"uplink {name}: {uplink.interface} has no address: packets that need one are dropped until it "
                    "has one",
                )
            continue
        for address in uplink.addresses:
            if address not in there and address not in uplink.virtual_addresses:
                length = 64 if address.version == 6 else 24
                is_routed = any(within(ip_network(address), network) for network in uplink.routed or ())
                otherwise = (
                    f"since {address} is in routed, leave it out under addresses: routed ones are on no interface"
                    if is_routed
                    else "if the provider routes it to this gateway, name it under routed"
                )
                yield Finding(
                    "warning",
                    "addresses",
                    f"uplink {name}: {address} is not on {uplink.interface}: no host answers ARP or neighbour "
                    "discovery for it",
                    f"ip address add {address}/{length} dev {uplink.interface}  # with the network's true length\n"
                    f"# or, {otherwise}\n"
                    "# or, if VRRP moves it between two gateways, name it under virtual",
                )


def shared_addresses(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Two uplinks, or an uplink and the inside, with the same addresses: a packet's source does not tell which."""
    for conflict in find_addresses(spec, Facts("", survey.links)).conflicts if spec is not None else ():
        yield Finding("problem", "shared-addresses", conflict)


def routed_on_wire(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """`routed` addresses in the uplink's own network: its router asks for them on the wire, and no host answers."""
    for name, uplink in sorted(spec.uplinks.items()) if spec is not None else ():
        link = survey.links.get(uplink.interface)
        there = link.addresses if link is not None else ()
        announced = (uplink.routed or ()) if uplink.announce is True else uplink.announce or ()
        for network in uplink.routed or ():
            on_wire = next((interface for interface in there if within(network, interface.network)), None)
            answered = {ip_network(interface.ip) for interface in there}
            if on_wire is None or network in answered or any(within(network, n) for n in announced):
                continue
            one = network.network_address
            yield Finding(
                "warning",
                "routed-on-wire",
                f"uplink {name}: routed {network} is in {on_wire.network}, the network of {uplink.interface}: its "
                "router asks for such addresses by ARP or neighbour discovery, and no host answers",
                f"# in the spec: uplinks: {{{name}: {{announce: true}}}}\n"
                f"# or: ip address add {one}/{one.max_prefixlen} dev {uplink.interface}  # each of them, and "
                "under addresses of the spec\n"
                "# or ignore this, if the provider routes them to this gateway's address",
            )


def probe_targets(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Probes that say nothing about the line: their target is near, or the gateway itself."""
    own = {interface.ip for link in survey.links.values() for interface in (*link.addresses, *link.narrow)}
    for name, uplink in sorted(spec.uplinks.items()) if spec is not None else ():
        link = survey.links.get(uplink.interface)
        routers = {str(hop) for hop in uplink.next_hop or ()} if uplink.next_hop != "auto" else set()
        routers |= {hop for _, hop in link.next_hops} if link is not None else set()
        near = [interface.network for interface in link.addresses] if link is not None else []
        beyond = "name a target beyond the provider, such as a name server of another operator"
        for probe in uplink.health.probes if uplink.health else ():
            if probe.address in own:
                what = "is this gateway's own address: the probe never leaves it"
                yield Finding("problem", "probe-target", f"uplink {name}: {probe}: {probe.address} {what}", beyond)
            elif str(probe.address) in routers:
                what = "is the uplink's own router, which answers as well when the line behind it is cut"
                yield Finding("warning", "probe-target", f"uplink {name}: {probe}: {what}: weak", beyond)
            elif any(probe.address in network for network in near):
                what = f"is on the wire of {uplink.interface}, and says nothing about the line behind it: weak"
                yield Finding("warning", "probe-target", f"uplink {name}: {probe}: {what}", beyond)


def crowded_wire(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """More routes through an uplink in `main` than are followed, such as a BGP table."""
    for ifname in sorted(spec.wires) if spec is not None else ():
        link = survey.links.get(ifname)
        if link is not None and link.crowded:
            yield Finding(
                "warning",
                "crowded-wire",
                f"main has more than {MOST_ROUTES} networks through {ifname}: those that are not connected are "
                "reached through the uplink's router, even if they are behind another one",
                "# have the routing daemon keep them in a separate table; for networks behind another router, add\n"
                "# another uplink and an entry under routes",
            )
