"""How stage 2 finds its way, and what ends what finds none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_network

from nvi_operator.kinds.fib_rule.combinations import each_combination
from nvi_operator.language.model.values import Family, Network, within
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.exceptions import networks_without
from nvi_operator.topology.far_side import ways_to_far
from nvi_operator.topology.interfaces import Uplink
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import (
    MAIN,
    MAX_RULED_SOURCES,
    OWN_CONNECTED,
    OWN_DEFAULT,
    TENANT_MASK,
    UPLINK_MASK,
    own_table,
    routed_table,
    uplink_bits,
)
from nvi_operator.topology.rules import Conditions, Honoured, Unchanged


def before_main(topology: Topology, family: Family) -> Iterator[FibRule]:
    """What has to be decided before connected routes: destinations that exist more than once."""
    at, stage = topology.priorities, topology.stage_mask
    for tenant in topology.tenants:
        yield FibRule(
            family, at.tenants, "lookup", tenant.table, mark=stage | tenant.number, mask=stage | TENANT_MASK
        )
    for entry in topology.twice:
        if entry.real.version == family:
            table = topology.uplink(entry.uplink).table
            yield FibRule(
                family,
                at.twice,
                "lookup",
                table,
                source=str(entry.mapped),
                destination=str(entry.far),
                mark=stage,
                mask=stage,
            )
    for network, beyond in dict(_at_home(topology, family)).items():
        past = FibRule(family, at.not_routed, "goto", goto=beyond, destination=str(network))
        yield replace(past, mark=stage, mask=stage)
    for index, route in enumerate(topology.routes):
        if route.conditions.family == family:
            table = topology.uplink(route.uplink).table
            for iif, source, destination in each_combination(route.conditions):
                yield FibRule(
                    family,
                    at.policy(index),
                    "lookup",
                    table,
                    iif=iif,
                    source=source,
                    destination=destination,
                    mark=stage | (route.conditions.mark.value if route.conditions.mark else 0),
                    mask=stage | (route.conditions.mark.mask if route.conditions.mark else 0),
                )


def _at_home(topology: Topology, family: Family) -> Iterator[tuple[Network, int]]:
    """Inside networks, and public addresses that no host outside has, that no route of the spec is about, though
    some match what is sent there; and where to go on.

    Such as answers and hairpins, where a route names no destination, or a wide one. One that names an inside network,
    or a part of it, says that this is elsewhere. A foreign table is asked for networks behind the interfaces that it
    leads to: peers of a mesh VPN may offer the numbers of the others as well.
    """
    at, before = topology.priorities, _before(topology, family)
    routes = [route.conditions for route in topology.routes if route.conditions.family == family]
    led = [network for conditions in routes for network in conditions.destinations]
    foreign = {ifname for honoured in before for ifname in honoured.ways}
    for inside in topology.inside_interfaces:
        beyond = at.honoured(0) if inside.interface.ifname in foreign else at.connected
        for network in inside.of_family(family):
            if _is_led(network, routes) or (before and beyond == at.connected):
                for part in networks_without([network], [n for n in led if within(n, network)], family):
                    yield part, beyond
    for network in topology.kept_here(family):
        if _is_led(network, routes):
            for part in networks_without([network], [n for n in led if within(n, network)], family):
                yield part, at.connected


def _is_led(network: Network, routes: Sequence[Conditions]) -> bool:
    """Does a route match what is sent there, without being about it?"""
    led = [wide for conditions in routes for wide in conditions.destinations]
    return any(within(network, n) and network != n for n in led) or not all(c.destinations for c in routes)


def stage_2(topology: Topology, family: Family) -> Iterator[FibRule]:
    at, stage = topology.priorities, topology.stage_mask
    # For everyone: the gateway's own packets may be bound to a translated address and go to an
    # inside network, and so may what comes in by foreign interfaces.
    yield FibRule(
        family,
        at.connected,
        "lookup",
        MAIN,
        suppress_prefix_length=0,
        suppress_group=topology.link_group,
    )
    yield from _honoured(topology, family)
    # Before the sources: for an error to an inside host without a route IPv6 takes an uplink's.
    if topology.inside_networks(family) and 0 < len(topology.uplink_ifnames) <= MAX_RULED_SOURCES:
        # A socket that is bound to an uplink's interface, such as a DHCP client's, means no inside host. Not past
        # dozens of uplinks, for the price that all packets pay.
        for ifname in topology.uplink_ifnames:
            yield FibRule(family, at.local_bound, "goto", goto=at.past_inside, iif="lo", oif=ifname)
        yield FibRule(family, at.past_inside, "nop")
    elsewhere = [*topology.parts_elsewhere(family)]
    for network in topology.inside_networks(family):
        own = FibRule(family, at.local_to_inside, "lookup", MAIN, iif="lo", destination=str(network))
        yield replace(own, suppress_prefix_length=0)
        for part in networks_without([network], [n for n in elsewhere if within(n, network)], family):
            yield FibRule(family, at.local_backstop, "unreachable", iif="lo", destination=str(part))
    if topology.kept_here(family):
        # Not of the gateway's own packets, whose way is looked up before their destination is translated; nor of its
        # ICMP errors to a translated source.
        yield FibRule(family, at.routed, "lookup", routed_table(topology.table), mark=stage, mask=stage)
    for uplink in topology.uplinks:
        for network in _ruled_sources(topology, uplink, family):
            yield FibRule(family, at.sources, "lookup", uplink.table, source=str(network))
        if topology.by_source_map:
            yield FibRule(
                family,
                at.source_map,
                "lookup",
                uplink.table,
                mark=stage | uplink_bits(uplink.slot),
                mask=stage | UPLINK_MASK,
            )
    for address, uplink in topology.unlisted(family).items():
        yield FibRule(family, at.unlisted, "lookup", uplink.table, iif="lo", source=str(ip_network(address)))
    yield from _answers_of_others(topology, family)
    yield from _answers_to_the_far_side(topology, family)
    way = topology.default_way(family)
    if way is not None and way.untranslated is not None:
        yield from _untranslated(topology, family, topology.uplink(way.untranslated))


def _honoured(topology: Topology, family: Family) -> Iterator[FibRule]:
    """Rules of others, of packets in stage 2: for the networks in their tables, as main is asked.

    Not for the gateway's own packets, which come to the rules themselves, with the marks that others give them; but
    for those to an inside network, which end before.
    """
    at = topology.priorities
    before = _before(topology, family)
    behind = [h for h in topology.honoured if h.family == family and not h.before_main]
    for group, priority in ((before, at.honoured), (behind, at.honoured_behind)):
        for index, honoured in enumerate(group):
            asked = FibRule(
                family,
                priority(index),
                "lookup",
                honoured.table,
                iif=honoured.iif,
                source=honoured.source,
                destination=honoured.destination,
                mark=honoured.mark,
                mask=honoured.mask,
                suppress_prefix_length=honoured.suppress_prefix_length,
                suppress_group=topology.link_group,
            )
            yield asked
            if asked.iif or asked.source or asked.destination or asked.mark != topology.stage_mask:
                continue
            for network in topology.inside_networks(family):
                own = replace(asked, priority=at.local_honoured, mark=None, mask=None, suppress_group=None)
                yield replace(own, iif="lo", destination=str(network))


def _before(topology: Topology, family: Family) -> Sequence[Honoured]:
    return [h for h in topology.honoured if h.family == family and h.before_main]


def _answers_of_others(topology: Topology, family: Family) -> Iterator[FibRule]:
    """Answers take one pass, by the uplink that was asked: see ruleset/others.py."""
    mask = topology.local_mask | UPLINK_MASK
    for uplink in topology.uplinks:
        if family in uplink.families or not uplink.families:
            mark = topology.local_mask | uplink_bits(uplink.slot)
            yield FibRule(family, topology.priorities.others, "lookup", uplink.table, mark=mark, mask=mask)


def _answers_to_the_far_side(topology: Topology, family: Family) -> Iterator[FibRule]:
    """Untranslated, by the uplink that who asked is behind. Stage 1 lets nothing by but answers (guard.py)."""
    stage = topology.stage_mask
    for network, uplink in ways_to_far(topology.uplinks, family).items():
        for source in topology.answering(family):
            yield FibRule(
                family,
                topology.priorities.answers,
                "lookup",
                uplink.table,
                source=str(source),
                destination=str(network),
                mark=stage,
                mask=stage,
            )


def _untranslated(topology: Topology, family: Family, default: Uplink) -> Iterator[FibRule]:
    """Flows whose source stays leave by the default uplink.

    What is for an inside network does not, though the way there may be gone: only a rule that names a part of one
    says that this part is elsewhere.
    """
    at, stage = topology.priorities, topology.stage_mask
    leaves = FibRule(family, at.untranslated, "lookup", default.table, mark=stage, mask=stage)
    rules = [r.conditions for r in topology.source_rules if isinstance(r.action, Unchanged)]
    rules = [conditions for conditions in rules if conditions.family == family]
    for conditions in rules:
        for _, source, destination in each_combination(conditions):
            part = destination is not None and topology.is_part_of_inside(ip_network(destination))
            priority = at.untranslated_within if part else at.untranslated
            yield replace(leaves, priority=priority, source=source, destination=destination)
    for network in topology.inside_networks(family) if rules else ():
        yield FibRule(family, at.stays_inside, "unreachable", destination=str(network), mark=stage, mask=stage)


def _ruled_sources(topology: Topology, uplink: Uplink, family: Family) -> tuple[Network, ...]:
    """With a map in nft, rules are only for what the gateway itself sends from the uplink's address."""
    if not topology.by_source_map:
        return uplink.sources(family)
    own = uplink.on_wire(family)
    return tuple(n for n in uplink.sources(family) if own in n)[:1] if own else ()


def backstop(topology: Topology, family: Family) -> Iterator[FibRule]:
    """Outside nft, so that it holds when the table is flushed: nothing from inside leaves untranslated."""
    at, stage = topology.priorities, topology.stage_mask
    yield FibRule(family, at.local_skips_backstop, "goto", goto=at.end, iif="lo")
    for network in topology.inside_networks(family):
        yield FibRule(family, at.backstop, "unreachable", source=str(network))
        yield FibRule(family, at.backstop, "unreachable", destination=str(network))
    yield FibRule(family, at.backstop, "unreachable", mark=stage, mask=stage)
    yield FibRule(family, at.end, "nop")
    way = topology.default_way(family)
    if way is None or way.own is None:
        return
    # The kernel looks for a route before it makes an ICMP error, and main need have no default for that.
    uplink = topology.uplink(way.own)
    told = topology.is_told_its_source(uplink, family)
    table = own_table(topology.table, uplink.slot) if told else uplink.table
    last_resort = FibRule(family, at.local_last_resort, "lookup", table, iif="lo")
    yield last_resort
    if way.before_main:
        yield FibRule(family, OWN_CONNECTED, "lookup", MAIN, iif="lo", suppress_prefix_length=0)
        yield replace(last_resort, priority=OWN_DEFAULT)
