"""Which networks behind an uplink may open flows to inside hosts by their own addresses.

Answers to them leave untranslated, which must never happen at an ISP. So unless the spec lists them an uplink counts
as a link to a site only if all that the spec has of it is private: its addresses, and every network that a rule of
sourceNat leads there. One that shares its interface with a way out is none. See ADR 0017.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.source_nat import SourceNat
from nvi_operator.language.model.values import FAMILIES, SELF, Family, Network, within
from nvi_operator.topology.exceptions import networks_without
from nvi_operator.topology.interfaces import Uplink
from nvi_operator.topology.notes import Note
from nvi_operator.topology.prefixes import fewest

# RFC 1918, RFC 6598 (carriers' NAT; also mesh VPNs), RFC 4193. No router of the Internet has a way to them.
_PRIVATE: tuple[Network, ...] = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv6Network("fc00::/7"),
)


def with_far_networks(spec: GatewaySpec, uplinks: Sequence[Uplink], note: Note) -> tuple[Uplink, ...]:
    """The uplinks, each with the networks behind it. Those that the spec does not list are noted."""
    inside = [network for interface in spec.interfaces.values() for network in interface.networks]
    named = {uplink.name: tuple(_named(spec, uplink)) for uplink in uplinks}
    ways_out = {u.interface.ifname for u in uplinks if not _is_all_private(u, named[u.name]) or _is_way_out(spec, u)}
    found = []
    for uplink in uplinks:
        written = spec.uplinks[uplink.name].networks
        far: Iterable[Network] = written if isinstance(written, tuple) else ()
        if written == "auto" and named[uplink.name] and uplink.interface.ifname not in ways_out:
            known = [*uplink.on_link, *(route.network for route in uplink.wire)]
            there = [*named[uplink.name], *(network for network in known if _is_private(network))]
            far = tuple(dict.fromkeys(_without(there, inside)))
            if far:
                shown = _few(there)
                note(f"uplink {uplink.name}: networks auto: hosts of {shown} may open connections to inside hosts")
        found.append(replace(uplink, far=tuple(far)))
    return tuple(found)


def _few(networks: Sequence[Network]) -> str:
    """Without those within others, and at most three."""
    widest = [str(network) for family in FAMILIES for network in fewest(networks, family)]
    return ", ".join(widest[:3]) + (f" and {len(widest) - 3} more" if widest[3:] else "")


def ways_to_far(uplinks: Iterable[Uplink], family: Family) -> Mapping[Network, Uplink]:
    """The networks behind uplinks, each with the one to take: of several the first that works."""
    ways: dict[Network, Uplink] = {}
    for uplink in uplinks:
        for network in uplink.far:
            if network.version == family and (network not in ways or not ways[network].is_usable(family)):
                ways[network] = uplink
    return ways


def _is_all_private(uplink: Uplink, named: Sequence[Network]) -> bool:
    own = [*(ip_network(address) for address in uplink.addresses), *uplink.routed]
    return not uplink.default and all(_is_private(network) for network in (*own, *named))


def _is_way_out(spec: GatewaySpec, uplink: Uplink) -> bool:
    """Has `main` a default route through it?"""
    return bool(uplink.direct or (spec.uplinks[uplink.name].next_hop == "auto" and uplink.next_hops))


def _named(spec: GatewaySpec, uplink: Uplink) -> Iterator[Network]:
    """The destinations of the rules that give hosts a source of this uplink; everything, if one has no `to`."""
    for rule in spec.source_nat:
        if _gives(rule, uplink) and rule.in_ != (SELF,):
            yield from rule.to or (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))


def _gives(rule: SourceNat, uplink: Uplink) -> bool:
    if uplink.name in rule.as_.names:
        return True
    own = [network for family in uplink.families for network in uplink.sources(family)]
    return any(
        int(pool.first) <= int(network[-1]) and int(network[0]) <= int(pool.last)
        for pool in rule.as_.pool or ()
        for network in own
        if network.version == pool.family
    )


def _is_private(network: Network) -> bool:
    return any(within(network, private) for private in _PRIVATE)


def _without(networks: Iterable[Network], inside: Sequence[Network]) -> Iterator[Network]:
    """A site is often named by all private addresses, the inside ones among them."""
    for network in networks:
        if any(network.overlaps(i) for i in inside):
            yield from networks_without([network], inside, network.version)
        else:
            yield network
