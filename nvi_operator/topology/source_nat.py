"""Source NAT rules, resolved family by family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_network

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.servers import BY_KERNEL, Pick
from nvi_operator.language.model.source_nat import SourceNat, Translation
from nvi_operator.language.model.values import FAMILIES, SELF, Address, AddressRange, Family, Network, within
from nvi_operator.topology.exceptions import networks_without, services_without
from nvi_operator.topology.interfaces import Inside, Tenant, Uplink
from nvi_operator.topology.notes import Note
from nvi_operator.topology.prefixes import fewest
from nvi_operator.topology.rules import (
    Choice,
    Conditions,
    OneToOne,
    SourceAction,
    SourceRule,
    Spread,
    ToRange,
    Unavailable,
    Unchanged,
)
from nvi_operator.topology.ways import shares, working

# Addresses of one range that are chosen from by slots, so that few flows move when the range grows. The kernel scales
# its hash to the size of a range (find_best_ips_proto()): the same address across reboots, and another when it grows.
MOST_CHOSEN = 64


def resolve_source_nat(
    spec: GatewaySpec,
    uplinks: Sequence[Uplink],
    inside_interfaces: Sequence[Inside],
    tenants: Mapping[str, Tenant],
    note: Note,
) -> tuple[SourceRule, ...]:
    """Every rule in the order written, IPv4 before IPv6."""
    return tuple(
        resolved
        for rule in spec.source_nat
        for family in FAMILIES
        for ifnames in _groups(rule, inside_interfaces)
        if (conditions := _conditions(rule, ifnames, family, inside_interfaces, tenants)) is not None
        and (action := _action(rule, family, conditions, uplinks, note)) is not None
        for resolved in (*_beside(rule, conditions, uplinks), SourceRule(rule.name, conditions, action))
    )


def _beside(rule: SourceNat, conditions: Conditions, uplinks: Sequence[Uplink]) -> Iterator[SourceRule]:
    """A destination in the network of one of the uplinks' addresses sees that address: it may have no router.

    Such as a modem with a page of its own, or a neighbour on one of several wires. Not in a network that two have.
    """
    named = [u for u in uplinks if u.name in rule.as_.names]
    usable = [u for u in named if u.is_linked(conditions.family)]
    for uplink in usable:
        for network, address in uplink.beside:
            shared = any(network.overlaps(n) for u in usable if u is not uplink for n, _ in u.beside)
            obvious = len(usable) == 1 and address == uplink.primary(conditions.family)
            if network.version != conditions.family or obvious or shared:
                continue
            among = [n for n in conditions.destinations if n.overlaps(network)]
            if conditions.destinations and not among:
                continue
            narrow = tuple(n if within(n, network) else network for n in among) or (network,)
            action = ToRange(AddressRange(address, address), rule.as_.ports, rule.as_.persistent)
            yield SourceRule(rule.name, replace(conditions, destinations=fewest(narrow, conditions.family)), action)


def _groups(rule: SourceNat, inside_interfaces: Sequence[Inside]) -> Iterator[tuple[str, ...]]:
    """The interfaces of a rule: those whose networks are its sources, and uplinks', by which any source comes in.

    Empty for a rule without `in`; none for one that is about the gateway itself only.
    """
    named = tuple(name for name in rule.in_ or () if name != SELF)
    inside = {i.interface.ifname for i in inside_interfaces} if rule.from_ is None else set(named)
    groups = (tuple(n for n in named if n in inside), tuple(n for n in named if n not in inside))
    yield from filter(None, groups) if rule.in_ else [()]


def _conditions(
    rule: SourceNat,
    ifnames: tuple[str, ...],
    family: Family,
    inside_interfaces: Sequence[Inside],
    tenants: Mapping[str, Tenant],
) -> Conditions | None:
    tenant = tenants[rule.tenant].number if rule.tenant else None
    if tenant is not None and not ifnames:
        ifnames = tuple(i.interface.ifname for i in inside_interfaces if i.tenant == tenant)
    if rule.from_ is not None:
        sources = tuple(n for n in rule.from_ if n.version == family)
    elif rule.in_:
        behind = [i for i in inside_interfaces if i.interface.ifname in ifnames]
        sources = fewest((n for i in behind for n in i.private), family)
        if behind and not sources:
            return None
    else:
        sources = fewest((n for i in inside_interfaces if tenant in (None, i.tenant) for n in i.private), family)
    if not sources and not rule.in_:
        return None
    networks = _without(rule, family, sources, inside_interfaces)
    if networks is None:
        return None
    sources, destinations = networks
    wrong = "icmpv6" if family == 4 else "icmp"
    protocols = tuple(p for p in rule.protocol or () if p != wrong)
    if rule.protocol and not protocols:
        return None
    excepted = (rule.except_.ports if rule.except_ else None) or ()
    services = services_without(rule.ports or (), excepted)
    if rule.ports and not services:
        return None
    sent_from = rule.from_ports or ()
    return Conditions(
        family, sources, destinations, ifnames, protocols, services, sent_from, excepted, rule.dscp or (), rule.mark
    )


def _without(
    rule: SourceNat, family: Family, sources: tuple[Network, ...], inside_interfaces: Sequence[Inside]
) -> tuple[tuple[Network, ...], tuple[Network, ...]] | None:
    """Sources and destinations without those that are excepted; None if nothing is left of either.

    Where the rule names no destinations, an inside network of which a part is excepted is left out as a whole: its
    other parts would look as if the rule named them.
    """
    destinations = tuple(n for n in rule.to or () if n.version == family)
    if rule.to and not destinations:
        return None
    if rule.except_ is None:
        return sources, destinations
    kept = networks_without(sources, rule.except_.from_ or (), family)
    out = [n for n in rule.except_.to or () if n.version == family]
    if not rule.to:
        inside = [n for i in inside_interfaces for n in i.networks if n.version == family]
        out += [n for n in inside if any(n.overlaps(e) for e in out)]
    led = networks_without(destinations, out, family)
    lost = (sources or rule.except_.from_) and not kept
    return None if lost or (out and not led) else (kept, led)


def _action(
    rule: SourceNat, family: Family, conditions: Conditions, uplinks: Sequence[Uplink], note: Note
) -> SourceAction | None:
    translation = rule.as_
    if translation.unchanged:
        return Unchanged()
    if translation.tiers:
        return _to_uplinks(rule, translation, family, uplinks, note)
    ranges = [r for r in translation.pool or () if r.family == family]
    return pool_action(translation, ranges, conditions, _without_dead(ranges, uplinks, family)) if ranges else None


def pool_action(
    translation: Translation,
    ranges: Sequence[AddressRange],
    conditions: Conditions,
    working_ranges: Sequence[AddressRange] | None = None,
) -> SourceAction:
    """Translation to one of these addresses of the pool, and of those that work."""
    if not translation.overload:
        return OneToOne(tuple(_pairs(conditions.sources, ranges)))
    pick = _pick(translation)
    size = sum(r.size for r in ranges)
    if len(ranges) == 1 and (size == 1 or (size > MOST_CHOSEN and pick in BY_KERNEL)):
        return ToRange(ranges[0], translation.ports, pick == "client")
    weights = translation.pool or {}
    given = ranges if working_ranges is None else working_ranges
    choices = tuple(Choice(str(a), a, weights[r]) for r in given for a in _addresses([r]))
    if len(choices) == 1:
        return ToRange(given[0], translation.ports, persistent=False)
    return Spread(choices, pick, translation.ports)


def _without_dead(
    ranges: Sequence[AddressRange], uplinks: Sequence[Uplink], family: Family
) -> Sequence[AddressRange]:
    """The ranges of a pool whose uplink works, where it has addresses of several; all of them where none works."""
    owners = {r: next((u for u in uplinks if any(r.first in n for n in u.sources(family))), None) for r in ranges}
    named = dict.fromkeys(u.name for u in owners.values() if u is not None)
    if len(named) < 2:
        return ranges
    by_name = {u.name: u for u in uplinks}
    used = {u.name for u, _ in working([[(by_name[name], 1) for name in named]], family)}
    return [r for r, owner in owners.items() if owner is None or owner.name in used]


def _pick(translation: Translation) -> Pick:
    return "client" if translation.persistent else translation.pick


def _to_uplinks(
    rule: SourceNat, translation: Translation, family: Family, uplinks: Sequence[Uplink], note: Note
) -> SourceAction | None:
    candidates = working(shares(translation.tiers, {uplink.name: uplink for uplink in uplinks}), family)
    if not candidates:
        return None
    candidates.sort(key=lambda candidate: candidate[0].slot)
    choices = tuple(
        Choice(u.name, address, weight) for u, weight in candidates if (address := u.primary(family)) is not None
    )
    if not choices:
        note(f"sourceNat {rule.name}: no uplink of it has an IPv{family} address now")
        return Unavailable()
    if len(choices) == 1:
        only = choices[0].address
        return ToRange(AddressRange(only, only), translation.ports, persistent=False)
    return Spread(choices, _pick(translation), translation.ports)


def _addresses(ranges: Sequence[AddressRange]) -> Iterator[Address]:
    for item in ranges:
        for number in range(int(item.first), int(item.last) + 1):
            yield type(item.first)(number)


def _pairs(sources: Sequence[Network], ranges: Sequence[AddressRange]) -> Iterator[tuple[Network, Network]]:
    """Each source address with one of the pool; a whole prefix with a whole prefix where both fit."""
    if len(sources) == 1 and len(ranges) == 1 and ranges[0].size >= sources[0].num_addresses:
        first, length = ranges[0].first, sources[0].prefixlen
        aligned = ip_network(f"{first}/{length}", strict=False)
        if aligned.network_address == first:
            yield sources[0], aligned
            return
    mapped = _addresses(ranges)
    for network in sources:
        for address in network:
            yield ip_network(address), ip_network(next(mapped))
