"""Two guards behind all NAT, including that of other tools, so that a mistake anywhere fails closed.

By uplink: an uplink carries its own sources only.
By prefix: sources of inside networks never leave untranslated, whatever the out-interface is called.
The gateway's own packets (those without an in-interface) are refused with inside sources and those of other uplinks;
packets that other tools masqueraded to the uplink's address pass.

Every packet meets these rules and hardly any is dropped, so the most frequent cases come first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from itertools import chain

from nvi_operator.language.model.values import Family, Network
from nvi_operator.nft.ast import (
    Chain,
    Element,
    Field,
    Hook,
    Masked,
    Match,
    NamedSet,
    Rule,
    SetRef,
    Statement,
    Verdict,
    Vmap,
)
from nvi_operator.nft.values import network_value
from nvi_operator.ruleset import fields as f
from nvi_operator.ruleset.prefix_sets import prefix_sets
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import GUARD
from nvi_operator.topology.prefixes import fewest
from nvi_operator.topology.rules import Conditions, Unchanged

_GROUPS, _IGMP = ip_network("224.0.0.0/4"), 2
_NEIGHBOUR_DISCOVERY = ("nd-neighbor-solicit", "nd-neighbor-advert", "nd-router-solicit")

COUNTERS = frozenset({"leak_untranslated", "leak_uplink", "wrong_uplink_own", "ip_options"})

_STRAY = "stray"
_HEADER_WORDS, _NO_OPTIONS = Field("ip hdrlength"), 5  # of 4 bytes
_ANSWERS = "far_answers"
_FEW = 3  # so many names compared one by one are faster than a lookup


def guard_chains(topology: Topology) -> Iterator[Chain]:
    yield Chain("guard", Hook("filter", "postrouting", GUARD), tuple(_ways_out(topology)))
    if any(topology.far(family) for family in topology.families):
        yield Chain(_ANSWERS, None, tuple(_answers_only(topology)))
    for family in topology.families:
        if any(of_no_rule(topology, family)):
            yield Chain(_unasked_chain(family), None, tuple(_unasked(topology, family)))
    in_one_pass = Match(Masked(f.META_MARK, topology.local_mask), "!=", 0)  # ruleset/others.py
    answers = (in_one_pass, Match(f.CT_DIRECTION, "==", "reply"), f.is_snated(), f.RETURN)
    passes = (*_memberships(topology), *_may_leave(topology, f.RETURN), answers)
    yield Chain(_STRAY, None, (*passes, f.drop("leak_untranslated")))
    for ifname in topology.uplink_ifnames:
        yield Chain(_chain_name(topology, ifname), None, tuple(_out_by(topology, ifname)))


def _memberships(topology: Topology) -> Iterator[Rule]:
    """IGMP, by which the gateway tells an inside network which groups it is in. As with MLD the kernel gives the
    out-interface as the in-interface of its own (Linux 5.7 and later), and it forwards none.
    """
    if 4 in topology.families:
        yield (f.in_networks(f.daddr(4), (_GROUPS,)), Match(f.L4PROTO, "==", _IGMP), f.RETURN)


def _answers_only(topology: Topology) -> Iterator[Rule]:
    """In stage 1, while conntrack can tell: only answers to flows from the far side go there untranslated."""
    states = frozenset({"established", "related"})
    yield (Match(f.CT_DIRECTION, "==", "reply"), Match(f.CT_STATE, "in", states), f.RETURN)
    yield from _may_leave(topology, f.RETURN)
    yield f.drop("leak_untranslated")


def to_the_far_side(topology: Topology, family: Family, ifname: str | None = None) -> Iterator[Rule]:
    """Packets with inside sources to networks behind an uplink."""
    far, inside = topology.far(family, ifname), topology.answering(family)
    if far and inside:
        yield (f.in_networks(f.saddr(family), inside), f.in_networks(f.daddr(family), far))


def of_no_rule(topology: Topology, family: Family) -> Iterator[Rule]:
    """Packets that stage 2 would let out as they are, because a rule says so of others in their networks.

    Stage 2 knows networks only. Which packets a rule means that asks for more (ports, a protocol, an in-interface) is
    known where flows open: what comes behind the last rule of sourceNat is none of them.
    """
    for conditions in topology.unchanged(family):
        if not conditions.is_by_networks:
            for matches in _unchanged(topology, conditions):
                yield (*matches, *_not_public(topology, family))


def _unasked(topology: Topology, family: Family) -> Iterator[Rule]:
    """What no rule of sourceNat is asked for: packets of no flow, answers to an inside address, and packets of flows
    that conntrack knew before there was this rule, when none covered them.

    Such a flow is told by its networks and ports. What only its first packet bore was asked when it opened, and that
    it left is told by an answer: what no rule covered gets none. An error about an exempt flow is part of it.
    """
    opened, answers = (Match(f.CT_DIRECTION, "==", direction) for direction in ("original", "reply"))
    related, answered = (Match(f.CT_STATE, "in", frozenset({state})) for state in ("related", "established"))
    yield (opened, related, f.RETURN)
    for conditions in topology.unchanged(family):
        yield from ((opened, *matches, f.RETURN) for matches in _all_of(conditions))
        if conditions.by_first_packet:
            later = replace(conditions, dscps=(), mark=None)
            yield from ((opened, answered, *matches, f.RETURN) for matches in _all_of(later))
    yield (opened, *f.not_from_uplinks(topology), *f.drop("leak_untranslated"))
    yield (opened, f.RETURN)
    yield (answers, f.is_dnated(), f.RETURN)
    for matches in (
        *to_the_far_side(topology, family),
        *chain.from_iterable(map(_all_of, topology.unchanged(family))),
    ):
        yield (*matches, f.RETURN)
    yield f.drop("leak_untranslated")


def _all_of(conditions: Conditions) -> Iterator[list[Statement]]:
    for ports in f.by_protocol(conditions):
        yield f.of_conditions(conditions, ports)


def _ways_out(topology: Topology) -> Iterator[Rule]:
    for family in topology.families:
        for matches in to_the_far_side(topology, family):
            yield (*matches, f.leaves_by_device(topology), Verdict("jump", _ANSWERS))
    for family in topology.families:
        for matches in of_no_rule(topology, family):
            yield (*matches, f.leaves_by_device(topology), Verdict("jump", _unasked_chain(family)))
    yield (f.leaves_by_device(topology), f.RETURN)
    jumps = {ifname: Verdict("jump", _chain_name(topology, ifname)) for ifname in topology.uplink_ifnames}
    if len(jumps) <= _FEW:
        yield from ((Match(f.OIFNAME, "==", ifname), jump) for ifname, jump in jumps.items())
    else:
        yield (Vmap(f.OIFNAME, frozenset(((ifname,), jump) for ifname, jump in jumps.items())),)
    yield (Match(f.IIF, "==", 0), f.RETURN)
    for family in topology.families:
        if _is_guarded(topology, family):
            yield (*_inside_source(topology, family), *_away(topology, family, ()), Verdict("jump", _STRAY))


def _out_by(topology: Topology, ifname: str) -> Iterator[Rule]:
    """An uplink's own sources leave by it. None of them is an inside source, unless it is public."""
    for family in topology.families:
        plain = (Match(_HEADER_WORDS, "==", _NO_OPTIONS),) if family == 4 else ()
        sources = of_uplink(topology, ifname, family, f.saddr(family))
        yield from ((source, *plain, f.ACCEPT) for source in sources)
    if 4 in topology.families:
        # Record route and timestamps hold addresses that NAT does not translate (RFC 791, RFC 7126). The gateway's
        # own options hold its own, also in IGMP, which has an in-interface; stage 1 translates nothing for a group.
        options, single = Match(_HEADER_WORDS, "!=", _NO_OPTIONS), f.in_networks(f.daddr(4), (_GROUPS,), op="!=")
        yield (options, Match(f.IIF, "!=", 0), single, *f.drop("ip_options"))
        yield from ((source, f.ACCEPT) for source in of_uplink(topology, ifname, 4, f.saddr(4)))
    yield from _may_leave(topology, f.ACCEPT)
    for family in topology.families:
        yield from ((*matches, f.ACCEPT) for matches in to_the_far_side(topology, family, ifname))
    for family in topology.families:
        if _is_guarded(topology, family):
            # Also of the gateway's own packets: an ICMPv6 error may well bear the address of an inside interface.
            yield (*_inside_source(topology, family), *f.drop("leak_untranslated"))
    for family in topology.families:
        for other in _others(topology, ifname, family):
            yield (Match(f.IIF, "==", 0), other, *f.drop("wrong_uplink_own"))
    yield (Match(f.IIF, "==", 0), f.ACCEPT)
    for route in topology.routes:
        # Packets that a route of the spec sends through an uplink may leave by it with any source.
        if topology.uplink(route.uplink).interface.ifname == ifname and route.conditions.family in topology.families:
            yield (*f.of_conditions(route.conditions, ()), f.ACCEPT)
    for family in topology.families:
        yield (f.of_family(family), *f.drop("leak_uplink"))


def _others(topology: Topology, ifname: str, family: Family) -> Iterator[Match]:
    """Sources of the other uplinks: the gateway's own packets have to use the uplink of their source as well."""
    single = [n for n in topology.displaced if n.version == family]
    single += [ip_network(a) for a, uplink in topology.unlisted(family).items() if uplink.interface.ifname != ifname]
    for other in topology.uplink_ifnames:
        if other != ifname:
            networks = _sources(topology, other, family)
            if len(networks) == 1:
                single += networks
            for named in _source_sets(topology, other, family):
                if named.elements:
                    yield Match(f.saddr(family), "==", SetRef(named.name))
    if single:
        yield f.in_networks(f.saddr(family), fewest(single, family))


def _may_leave(topology: Topology, verdict: Verdict) -> Iterator[Rule]:
    """With any source: packets that are never forwarded, that leave encrypted, or whose flow stays untranslated."""
    if topology.ipsec:
        yield (Match(Field("rt ipsec"), "==", "exists"), verdict)
    if 6 in topology.families:
        # Neighbour discovery and MLD: the kernel gives the out-interface as the in-interface of its own.
        yield (Match(f.saddr(6), "==", frozenset({"fe80::/10", "::"})), verdict)
        yield (Match(f.daddr(6), "==", "ff00::/8"), verdict)
        yield (f.one_of(Field("icmpv6 type"), _NEIGHBOUR_DISCOVERY), verdict)
    for rule in topology.source_rules:
        if rule.conditions.family in topology.families and isinstance(rule.action, Unchanged):
            for match in _unchanged(topology, rule.conditions):
                yield (*match, verdict)


def _unchanged(topology: Topology, conditions: Conditions) -> Iterator[Rule]:
    """By networks only. Packets to an inside network stay inside, unless a part of it is named, as in FIB rules."""
    family, destinations = conditions.family, conditions.destinations
    sources = tuple(f.among(f.saddr(family), conditions.sources))
    parts = tuple(n for n in destinations if topology.is_part_of_inside(n))
    others = tuple(n for n in destinations if n not in parts)
    if parts:
        yield (*sources, *f.among(f.daddr(family), parts))
    if others or (sources and not parts):
        yield (*sources, *f.among(f.daddr(family), others), *_away(topology, family, others))


def _away(topology: Topology, family: Family, destinations: tuple[Network, ...]) -> Iterator[Statement]:
    """A match of packets that are not to inside networks, if these may be among the destinations."""
    inside = topology.inside_networks(family)
    if inside and (not destinations or any(n.overlaps(i) for n in destinations for i in inside)):
        yield f.in_set(f.daddr(family), *inside_set(topology, family), op="!=")


def _is_guarded(topology: Topology, family: Family) -> bool:
    return bool(topology.inside_networks(family) and topology.uplinks)


def _inside_source(topology: Topology, family: Family) -> Iterator[Statement]:
    yield f.in_set(f.saddr(family), *inside_set(topology, family))
    yield from _not_public(topology, family)


def _not_public(topology: Topology, family: Family) -> Iterator[Statement]:
    """Inside networks with public addresses that an uplink routes here need no translation."""
    public = fewest((n for u in topology.uplinks for n in u.sources(family)), family)
    inside = topology.inside_networks(family)
    overlapping = tuple(n for n in public if any(n.overlaps(i) for i in inside))
    if overlapping:
        yield f.in_networks(f.saddr(family), overlapping, op="!=")


def _unasked_chain(family: Family) -> str:
    return f"unasked_{family}"


def _chain_name(topology: Topology, ifname: str) -> str:
    """Chains and sets are per interface; the name is that of the first uplink on it."""
    return f"out_{_label(topology, ifname)}"


def _label(topology: Topology, ifname: str) -> str:
    return next(u for u in topology.uplinks if u.interface.ifname == ifname).label


# --------------------------------------------------------------------------- sets


def inside_set(topology: Topology, family: Family) -> tuple[str, tuple[Network, ...]]:
    return f"inside_{family}", topology.inside_networks(family)


def _sources(topology: Topology, ifname: str, family: Family) -> tuple[Network, ...]:
    on_it = [u for u in topology.uplinks if u.interface.ifname == ifname]
    return fewest((n for u in on_it for n in u.sources(family)), family)


def of_uplink(topology: Topology, ifname: str, family: Family, field: Field) -> Iterator[Match]:
    """Is `field` an address of an uplink on this interface? One of the matches has to hold."""
    networks = _sources(topology, ifname, family)
    if len(networks) == 1:
        yield f.in_networks(field, networks)
    for named in _source_sets(topology, ifname, family):
        yield Match(field, "==", SetRef(named.name))


def _source_sets(topology: Topology, ifname: str, family: Family) -> tuple[NamedSet, ...]:
    """None for a single network, which is compared with. An empty set for none: a lease may bring addresses."""
    networks = _sources(topology, ifname, family)
    if len(networks) == 1:
        return ()
    return prefix_sets(f"sources_{_label(topology, ifname)}_{family}", family, ((n, None) for n in networks))


def guard_sets(topology: Topology) -> Iterator[NamedSet]:
    for family in topology.families:
        type_ = (f.ADDRESS_TYPE[family],)
        for name, networks in (
            inside_set(topology, family),
            (f"shared_{family}", topology.inside_networks(family, tenant=0)),
        ):
            if len(networks) > 1:  # fields.in_set
                elements: frozenset[Element] = frozenset(((network_value(n),), None) for n in networks)
                yield NamedSet(name, type_, elements, interval=True)
        for ifname in topology.uplink_ifnames:
            yield from _source_sets(topology, ifname, family)
