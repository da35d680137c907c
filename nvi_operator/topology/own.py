"""Which uplink the gateway's own packets take, where rules of the spec say so. Pure.

The kernel looks for a route before a packet has a source, so FIB rules decide, and the route gives the source:
nothing has to be translated. What a program has bound to an address keeps it, because a source that is an uplink's is
looked up first. Only addresses that no route can give, those of pools, and ranges of source ports need source NAT.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from nvi_operator.language.model.gateway import GatewaySpec, RouteSpec
from nvi_operator.language.model.source_nat import SourceNat
from nvi_operator.language.model.values import FAMILIES, SELF, Address, AddressRange, Family, Network
from nvi_operator.topology.far_side import ways_to_far
from nvi_operator.topology.interfaces import Uplink
from nvi_operator.topology.notes import Note
from nvi_operator.topology.numbers import MAX_OWN_LAYERS
from nvi_operator.topology.rules import Conditions, OwnRule, SourceAction, ToRange
from nvi_operator.topology.source_nat import pool_action
from nvi_operator.topology.ways import DefaultWay, first_working, shares, working

MAX_OWN = 256  # FIB rules of one family: each of the gateway's own lookups may pass them all


def resolve_own(spec: GatewaySpec, uplinks: Sequence[Uplink], note: Note) -> tuple[OwnRule, ...]:
    """Routes, then rules of sourceNat, each in the order written, then `networks` of uplinks; IPv4 before IPv6."""
    by_name = {uplink.name: uplink for uplink in uplinks}
    return tuple(rule for family in FAMILIES for rule in _numbered(tuple(_of_family(spec, by_name, family)), note))


def name_sourceless(
    ways: Iterable[DefaultWay], uplinks: Sequence[Uplink], own: Collection[Address], note: Note
) -> None:
    """An uplink may have link-local addresses alone, or none, and a prefix that is routed to the gateway."""
    for way in ways:
        uplink = next((each for each in uplinks if each.name == way.own), None)
        if uplink is None or not (uplink.is_direct(way.family) or way.family in uplink.next_hops):
            continue
        routed = [network for network in uplink.routed if network.version == way.family]
        if routed and not any(address in network for network in uplink.sources(way.family) for address in own):
            note(
                f"uplink {uplink.name}: no interface has an IPv{way.family} address that packets may leave by it "
                "with: the gateway itself reaches nothing there (updates, DNS, NTP); put a routed address on lo: "
                f"ip address add {_example(routed[0])} dev lo"
            )


def _example(network: Network) -> str:
    return f"{network[min(1, network.num_addresses - 1)]}/{network.max_prefixlen}"


def _of_family(spec: GatewaySpec, uplinks: Mapping[str, Uplink], family: Family) -> Iterator[OwnRule]:
    written = (*_routes(spec, uplinks, family), *_source_nat(spec, uplinks, family))
    yield from written
    # Such as ICMP errors about flows from there. No rule of the spec need be about own packets.
    led = {
        network for rule in written if rule.conditions.is_by_destination for network in rule.conditions.destinations
    }
    for network, uplink in ways_to_far(uplinks.values(), family).items():
        if network not in led:
            yield OwnRule("uplinks", uplink.name, Conditions(family, (), (network,)), "lookup", uplink.name)


def _numbered(rules: Sequence[OwnRule], note: Note) -> Iterator[OwnRule]:
    layered = tuple(_in_layers(rules, note))
    return (replace(rule, last=rule is layered[-1]) for rule in layered)


def _in_layers(rules: Sequence[OwnRule], note: Note) -> Iterator[OwnRule]:
    """Rules in a row that lead the same way share a priority; at most so many of either."""
    layer, size, before = -1, 0, None
    for rule in rules:
        way = (rule.action, rule.uplink, None if rule.without else 0)
        layer += bool(rule.without) + (way != before or bool(rule.without))
        before = way
        size += sum(conditions.combinations for conditions in (rule.conditions, *rule.without))
        if layer >= MAX_OWN_LAYERS or size > MAX_OWN:
            note(
                f"{rule.section} {rule.name}: it and what follows do not apply to the gateway's own IPv"
                f"{rule.conditions.family} packets: more than {MAX_OWN} FIB rules, or more than {MAX_OWN_LAYERS} "
                "changes of the uplink: place rules with `in: self` before others"
            )
            return
        yield replace(rule, layer=layer)


# --------------------------------------------------------------------------- routes


def is_for_own_packets(rule: RouteSpec | SourceNat) -> bool:
    """With `in: self`, or by what it says of packets: without `in`, and of rules of sourceNat without `from`.

    A rule of sourceNat for everything is about inside hosts: `defaultUplink` leads the rest of the gateway's packets.
    """
    if rule.in_ is not None:
        return SELF in rule.in_
    if isinstance(rule, RouteSpec):
        return True
    of_hosts = rule.from_ or rule.tenant or rule.dscp or not rule.as_.overload
    return _is_narrow(rule) and not of_hosts


def _is_narrow(rule: SourceNat) -> bool:
    return bool(rule.to or rule.protocol or rule.ports or rule.from_ports or rule.mark)


def _routes(spec: GatewaySpec, uplinks: Mapping[str, Uplink], family: Family) -> Iterator[OwnRule]:
    for route in spec.routes:
        conditions = _conditions(route, family)
        if conditions is None or not is_for_own_packets(route):
            continue
        way = first_working(route.via.first, uplinks, family)
        if way is not None:
            yield OwnRule("routes", route.name, conditions, "lookup", way.name, without=_without(route, family))


# --------------------------------------------------------------------------- source NAT


def _source_nat(spec: GatewaySpec, uplinks: Mapping[str, Uplink], family: Family) -> Iterator[OwnRule]:
    hidden = False  # by a rule for everything, which was first
    for rule in spec.source_nat:
        named = rule.in_ is not None
        conditions = _conditions(rule, family)
        narrow = _is_narrow(rule) or rule.from_ or rule.tenant or rule.dscp or rule.except_
        hidden = hidden or not (named or narrow)
        if conditions is None or not is_for_own_packets(rule) or (hidden and not named):
            continue
        own: Iterator[OwnRule]
        if rule.as_.unchanged:
            own = iter([OwnRule("sourceNat", rule.name, conditions, "leave")])
        elif rule.as_.tiers:
            own = _by_uplink(rule, uplinks, conditions)
        else:
            own = _from_pool(rule, uplinks, conditions)
        yield from (replace(each, without=_without(rule, family)) for each in own)


def _by_uplink(rule: SourceNat, uplinks: Mapping[str, Uplink], conditions: Conditions) -> Iterator[OwnRule]:
    """The rule by the heaviest of the uplinks that work: a route has one source."""
    family = conditions.family
    candidates = working(shares(rule.as_.tiers, uplinks), family)
    if not candidates:
        return
    uplink = max(candidates, key=lambda candidate: candidate[1])[0]
    source = uplink.on_wire(family)
    translation: SourceAction | None = None
    if source is not None and (rule.as_.ports or conditions.sources):
        translation = ToRange(AddressRange(source, source), rule.as_.ports, persistent=False)
    yield OwnRule("sourceNat", rule.name, conditions, "lookup", uplink.name, translation)


def _from_pool(rule: SourceNat, uplinks: Mapping[str, Uplink], conditions: Conditions) -> Iterator[OwnRule]:
    """The rule by the first working uplink that has the pool's addresses; one of them is the source."""
    family = conditions.family
    ranges = [r for r in rule.as_.pool or () if r.family == family]
    owned = {
        name: found for name, uplink in uplinks.items() if (found := [r for r in ranges if _has(uplink, r, family)])
    }
    candidates = working([[(uplinks[name], 1)] for name in owned], family)
    if candidates:
        uplink = candidates[0][0]
        translation = pool_action(rule.as_, owned[uplink.name], conditions)
        yield OwnRule("sourceNat", rule.name, conditions, "lookup", uplink.name, translation)
    elif ranges and rule.in_ is not None:
        yield OwnRule("sourceNat", rule.name, conditions, "refuse")


def _has(uplink: Uplink, addresses: AddressRange, family: Family) -> bool:
    return any(addresses.first in network and addresses.last in network for network in uplink.sources(family))


# --------------------------------------------------------------------------- conditions


def _conditions(rule: RouteSpec | SourceNat, family: Family) -> Conditions | None:
    """None: it is not for this family."""
    sources = tuple(n for n in rule.from_ or () if n.version == family)
    destinations = tuple(n for n in rule.to or () if n.version == family)
    if (rule.from_ and not sources) or (rule.to and not destinations):
        return None
    if isinstance(rule, RouteSpec):
        return Conditions(family, sources, destinations, mark=rule.mark)
    wrong = "icmpv6" if family == 4 else "icmp"
    protocols = tuple(p for p in rule.protocol or () if p != wrong)
    if rule.protocol and not protocols:
        return None
    sent_from = rule.from_ports or ()
    return Conditions(family, sources, destinations, (), protocols, rule.ports or (), sent_from, mark=rule.mark)


def _without(rule: RouteSpec | SourceNat, family: Family) -> tuple[Conditions, ...]:
    """What it is not about: each of these by itself."""
    if rule.except_ is None:
        return ()
    sources, destinations = (
        tuple(n for n in networks or () if n.version == family) for networks in (rule.except_.from_, rule.except_.to)
    )
    found = [Conditions(family, sources)] if sources else []
    found += [Conditions(family, (), destinations)] if destinations else []
    if isinstance(rule, SourceNat) and rule.except_.ports:
        found.append(Conditions(family, services=rule.except_.ports))
    return tuple(found)
