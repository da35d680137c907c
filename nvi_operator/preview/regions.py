"""The flows that a comparison asks about: all that hosts may open, by where they come in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import ip_network

from nvi_operator.explain.packet import GRE, ICMP_OF, SCTP, TCP, UDP
from nvi_operator.explain.region import Region
from nvi_operator.explain.space import Term
from nvi_operator.explain.spans import ADDRESSES, Spans
from nvi_operator.language.model.values import FAMILIES, Address, Family, Network
from nvi_operator.topology.model import Topology

ESP = 50

# What no host has as its address: "this network", loopback, groups, link-local and reserved (RFC 6890).
_NO_HOSTS: Mapping[Family, Spans] = {
    4: Spans.networks(map(ip_network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))),
    6: Spans.networks(map(ip_network, ("::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8"))),
}
# A program of the gateway that asks for no source has one by its route.
_UNBOUND = Spans.one(0)


def regions(
    before: Topology, after: Topology, own: Iterable[Address], only: Sequence[Address] | None
) -> Iterator[Region]:
    """Inside interfaces with the networks of both sides, uplinks, the gateway itself; `only`: to these addresses.

    `own` are the gateway's addresses, which no other host has.
    """
    for family in FAMILIES:
        to = hosts(before, after, family)
        if only is not None:
            to = to & Spans.addresses(address for address in only if address.version == family)
        if family not in {*before.families, *after.families} or not to:
            continue
        region = partial(_narrowed, partial(Region.of, family, protocols=protocols(family)), to)
        others = hosts(before, after, family) - Spans.addresses(a for a in own if a.version == family)
        for ifname, networks in sorted(inside_networks(before, after, family).items()):
            yield from region(ifname, networks & others)
        for ifname in sorted({*before.uplink_ifnames, *after.uplink_ifnames}):
            yield from region(ifname, others - _never_outside(before, after, ifname, family))
        yield from region(None, _UNBOUND)


def protocols(family: Family) -> tuple[int, ...]:
    """Those that are asked about; of ICMP, requests for an echo."""
    return TCP, UDP, SCTP, GRE, ESP, ICMP_OF[family]


def hosts(before: Topology, after: Topology, family: Family) -> Spans:
    """What may be the address of a host; of inside networks neither the first address nor broadcast (RFC 4291, 2.6.1:
    the first is every router's).
    """
    inside = [n for t in (before, after) for each in t.inside_interfaces for n in each.of_family(family)]
    edges = [a for n in inside if n.num_addresses > 2 for a in ((n[0], n[-1]) if n.version == 4 else (n[0],))]
    return ADDRESSES[family] - _NO_HOSTS[family] - Spans.addresses(edges)


def inside_networks(before: Topology, after: Topology, family: Family) -> dict[str, Spans]:
    """The networks by interface."""
    found: dict[str, list[Network]] = {}
    for each in (*before.inside_interfaces, *after.inside_interfaces):
        found.setdefault(each.interface.ifname, []).extend(each.of_family(family))
    return {ifname: Spans.networks(networks) for ifname, networks in found.items() if networks}


def _never_outside(before: Topology, after: Topology, ifname: str, family: Family) -> Spans:
    """What no host behind this uplink has: public addresses of the gateway, and inside ones but for twice NAT."""
    both = (before, after)
    public = Spans.networks(n for t in both for uplink in t.uplinks for n in uplink.sources(family))
    if any(ifname in t.uplink_ifnames and t.may_share_addresses(ifname) for t in both):
        return public
    return public | Spans.of(
        span for spans in inside_networks(before, after, family).values() for span in spans.parts
    )


def _narrowed(make: partial[Region], to: Spans, ifname: str | None, sources: Spans) -> Iterable[Region]:
    region = make([ifname])
    space = region.space.narrowed(Term("source").variable, sources).narrowed(Term("destination").variable, to)
    return [replace(region, space=space)] if sources else []
