"""Facts of a host that is elsewhere, so that a spec can be rendered on any machine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from types import MappingProxyType

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.topology.facts import Facts, InterfaceAddress, LinkFact
from nvi_operator.topology.notes import Note

_FIRST = 1001


def assume_missing(spec: GatewaySpec, facts: Facts, also: Collection[str] = ()) -> Facts:
    """`facts`, and every interface that the spec names and the host lacks, up and with the spec's addresses.

    `also`: further interfaces that take up a number, so that two specs have the same ones.
    """
    addresses: dict[str, tuple[InterfaceAddress, ...]] = {}
    for uplink in spec.uplinks.values():
        if uplink.addresses != "auto":
            written = tuple(ip_interface(address) for address in uplink.addresses)
            addresses[uplink.interface] = (*addresses.get(uplink.interface, ()), *written)
    named = named_interfaces(spec)
    missing = [ifname for ifname in sorted({*named, *also}) if ifname not in facts.links]
    made_up = {
        ifname: LinkFact(
            ifname,
            number,
            f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}",
            mtu=1500,
            addresses=addresses.get(ifname, ()),
        )
        for number, ifname in enumerate(missing, start=_FIRST)
        if ifname in named
    }
    return replace(facts, links=MappingProxyType({**facts.links, **made_up}), assumed=bool(made_up))


def named_interfaces(spec: GatewaySpec) -> frozenset[str]:
    return frozenset({*spec.interfaces, *(uplink.interface for uplink in spec.uplinks.values())})


def assume_inside(spec: GatewaySpec, facts: Facts) -> Facts:
    """The facts with the first address of each network for an inside interface that was made up.

    What is redirected to the gateway itself, or to a server beside the client, depends on it.
    """
    links = dict(facts.links)
    for ifname, inside in spec.interfaces.items() if facts.assumed else ():
        link = links[ifname]
        if link.ifindex >= _FIRST and not link.addresses:
            firsts = ((n[1] if n.num_addresses > 2 else n[0], n.prefixlen) for n in inside.networks)
            links[ifname] = replace(link, addresses=tuple(map(ip_interface, firsts)))
    return replace(facts, links=MappingProxyType(links))


def assume_leases(spec: GatewaySpec, facts: Facts, note: Note) -> Facts:
    """The facts with an address and a router for each uplink that has them by a lease, where the host has none.

    Of RFC 2544 and RFC 5180, which no ISP gives; `note` is told which stand for what.
    """
    links = dict(facts.links)
    for number, (name, uplink) in enumerate(sorted(spec.uplinks.items()), start=1):
        link = links.get(uplink.interface)
        if link is None or link.next_hops or "auto" not in (uplink.addresses, uplink.next_hop):
            continue
        networks = [ip_network(f"198.18.{number}.0/24")]
        if any(network.version == 6 for each in spec.interfaces.values() for network in each.networks):
            networks.append(ip_network(f"2001:2:0:{number:x}::/64"))
        leased = link
        told: list[str] = []
        if uplink.addresses == "auto" and not link.addresses:
            leased = replace(leased, addresses=tuple(ip_interface((n[2], n.prefixlen)) for n in networks))
            told += [str(address.ip) for address in leased.addresses]
        if uplink.next_hop == "auto":
            leased = replace(leased, next_hops=tuple((n.version, str(n[1])) for n in networks))
            told += [f"router {hop}" for _, hop in leased.next_hops]
        links[uplink.interface] = leased
        if told:
            stand = "stands" if len(told) == 1 else "stand"
            note(f"uplink {name}: {', '.join(told)} {stand} for what its lease will say")
    return replace(facts, links=MappingProxyType(links))


def assume_working(spec: GatewaySpec) -> Facts:
    """A host that has all that the spec names, and to which every ISP has assigned what the spec leaves to it."""
    known = assume_inside(spec, assume_missing(spec, Facts("")))
    return replace(assume_leases(spec, known, lambda _: None), assumed=True)
