"""What must not leave: two guards behind all NAT, also other tools', so that a mistake anywhere fails closed.

By prefix: what lives behind our interfaces never leaves untranslated, whatever the way out is called.
By uplink: an uplink carries its own sources only. Of the gateway's own packets (those without an
in-interface) only the inside sources on uplinks are refused; what others masqueraded to the uplink's
address passes.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.nft.values import network_value
from nvi_operator.ruleset import fields as f
from nvi_operator.state.nft import Chain, Element, Field, Hook, Match, NamedSet, Rule, Statement
from nvi_operator.topology.model import Family, Topology, Unchanged, fewest

_NEIGHBOUR_DISCOVERY = ("nd-neighbor-solicit", "nd-neighbor-advert", "nd-router-solicit")

PRIORITY = 300  # after every source NAT
COUNTERS = frozenset({"leak_untranslated", "leak_uplink"})


def guard_chain(topology: Topology) -> Chain:
    rules: list[Rule] = [(Match(f.OIFNAME, "==", topology.device), f.RETURN)]
    if 6 in topology.families:
        # Neighbour discovery and MLD are never forwarded, but the kernel gives the out-interface as the
        # in-interface of its own.
        rules.append((Match(f.saddr(6), "==", frozenset({"fe80::/10", "::"})), f.RETURN))
        rules.append((Match(f.daddr(6), "==", "ff00::/8"), f.RETURN))
        rules.append((f.one_of(Field("icmpv6 type"), _NEIGHBOUR_DISCOVERY), f.RETURN))
    for family in topology.families:
        rules += _exempt(topology, family)
        # Also of the gateway's own packets: an ICMPv6 error may well bear the address of an inside interface.
        rules += _inside_source(topology, family, f.one_of(f.OIFNAME, topology.uplink_ifnames))
    rules.append((Match(f.IIF, "==", 0), f.RETURN))
    for family in topology.families:
        rules += _inside_source(topology, family, f.in_set(f.daddr(family), f"inside_{family}", op="!="))
        rules += _routed(topology, family)
        for ifname in topology.uplink_ifnames:
            rules.append(
                (
                    Match(f.OIFNAME, "==", ifname),
                    f.in_set(f.saddr(family), source_set_name(topology, ifname, family), op="!="),
                    *f.drop("leak_uplink"),
                )
            )
    return Chain("guard", Hook("filter", "postrouting", PRIORITY), tuple(rules))


def _inside_source(topology: Topology, family: Family, leaving: Match) -> Iterator[Rule]:
    """Drop what bears an inside source, if it is `leaving`."""
    if topology.inside_networks(family) and topology.uplinks:
        yield (
            leaving,
            f.in_set(f.saddr(family), f"inside_{family}"),
            *_not_public(topology, family),
            *f.drop("leak_untranslated"),
        )


def _exempt(topology: Topology, family: Family) -> Iterator[Rule]:
    """Flows that the spec says stay as they are may leave as they are."""
    for rule in topology.source_rules:
        if rule.conditions.family == family and isinstance(rule.outcome, Unchanged):
            match: list[Statement] = []
            if rule.conditions.sources:
                match.append(f.in_networks(f.saddr(family), rule.conditions.sources))
            if rule.conditions.destinations:
                match.append(f.in_networks(f.daddr(family), rule.conditions.destinations))
            if match:
                yield (*match, f.RETURN)


def _routed(topology: Topology, family: Family) -> Iterator[Rule]:
    """What a route of the spec sends through an uplink may leave by it, whoever the source belongs to."""
    for route in topology.routes:
        if route.conditions.family == family:
            leaves = Match(f.OIFNAME, "==", topology.uplink(route.uplink).port.ifname)
            yield (leaves, *f.of_conditions(route.conditions, ()), f.RETURN)


def _not_public(topology: Topology, family: Family) -> Iterator[Statement]:
    """Inside networks with public addresses that an uplink routes here need no translation."""
    public = fewest((n for u in topology.uplinks for n in u.sources(family)), family)
    inside = topology.inside_networks(family)
    overlapping = tuple(n for n in public if any(n.overlaps(i) for i in inside))
    if overlapping:
        yield f.in_networks(f.saddr(family), overlapping, op="!=")


def source_set_name(topology: Topology, ifname: str, family: Family) -> str:
    """Sets are per interface; the name is that of the first uplink on it."""
    first = next(u for u in topology.uplinks if u.port.ifname == ifname)
    return f"sources_{first.label}_{family}"


def guard_sets(topology: Topology) -> Iterator[NamedSet]:
    for family in topology.families:
        type_ = (f.ADDRESS_TYPE[family],)
        for name, networks in (
            (f"inside_{family}", topology.inside_networks(family)),
            (f"shared_{family}", topology.inside_networks(family, tenant=0)),
        ):
            if networks:
                elements: frozenset[Element] = frozenset(((network_value(n),), None) for n in networks)
                yield NamedSet(name, type_, elements, interval=True)
        for ifname in topology.uplink_ifnames:
            on_it = [u for u in topology.uplinks if u.port.ifname == ifname]
            sources = fewest((n for u in on_it for n in u.sources(family)), family)
            yield NamedSet(
                source_set_name(topology, ifname, family),
                type_,
                frozenset(((network_value(n),), None) for n in sources),
                interval=True,
            )
