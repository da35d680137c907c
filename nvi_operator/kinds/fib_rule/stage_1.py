"""Who is steered into stage 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_network

from nvi_operator.kinds.fib_rule.combinations import each_combination
from nvi_operator.language.model.values import Family
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import MAIN, UPLINK_MASK
from nvi_operator.topology.rules import Honoured


def steering_rules(topology: Topology, family: Family) -> Iterator[FibRule]:
    at, bit = topology.priorities, topology.local_mask
    yield FibRule(family, at.local_errors, "lookup", topology.table, iif="lo", mark=bit, mask=bit)
    yield FibRule(family, at.local_skips_steering, "goto", goto=at.connected, iif="lo")
    for entry in topology.twice:
        for alias in entry.refused:
            if alias.version == family:
                yield FibRule(
                    family,
                    at.refused,
                    "unreachable",
                    source=str(entry.real),
                    destination=str(alias),
                    mark=0,
                    mask=topology.stage_mask,
                )
    yield from _answers_to_others(topology, family)
    stage_1 = FibRule(family, at.steer, "lookup", topology.table, mark=0, mask=topology.stage_mask)
    for interface in topology.interfaces:
        if interface.ifname not in topology.uplink_ifnames:
            yield replace(stage_1, iif=interface.ifname)
    # By source as well: a rule by interface is detached the moment the interface is renamed.
    for network in topology.inside_networks(family):
        yield replace(stage_1, source=str(network))
    yield from _from_uplinks(topology, stage_1)


def _answers_to_others(topology: Topology, family: Family) -> Iterator[FibRule]:
    """Answers of inside hosts to what others translate, such as containers, take one pass: see ruleset/others.py.

    As what comes in by uplinks does, they ask the tables of others and main, and are steered if these know no way.
    """
    if not (topology.inside_networks(family) and topology.uplinks):
        return
    at, bit = topology.priorities, topology.local_mask
    steered = FibRule(family, at.steer_uplinks, "lookup", topology.table, mark=bit)
    steered = replace(steered, mask=bit | topology.stage_mask | UPLINK_MASK)
    asked = _by_main(topology, steered)
    unmarked = [
        h for h in topology.honoured if h.mark == topology.stage_mask and h.iif not in topology.uplink_ifnames
    ]
    rules = [replace(rule, iif=honoured.iif) for honoured, rule in _honoured(topology, asked, unmarked)]
    first = min(rule.priority for rule in (asked, *rules))
    yield replace(steered, priority=at.answers_of_others, action="goto", goto=first, table=None)
    yield asked
    yield from rules
    yield steered


def _by_main(topology: Topology, rule: FibRule) -> FibRule:
    """The rule, of what `main` leads elsewhere than by a default route or an uplink."""
    rule = replace(rule, priority=topology.priorities.uplinks_to_others, table=MAIN)
    return replace(rule, suppress_prefix_length=0, suppress_group=topology.link_group)


def _from_uplinks(topology: Topology, stage_1: FibRule) -> Iterator[FibRule]:
    """What goes to a network of the host that the spec does not name, such as a container's, takes one pass.

    Its destination is translated by now, and its source stays, unless the spec translates what comes in by this
    interface. Firewalls of such a bridge see the packet once, and as part of its connection. In stage 2 routes of the
    spec and tables of others come before main, and so they do here; but a route of the spec takes nothing that main
    knows more exactly, such as a container's network within a wide one.
    """
    at = topology.priorities
    steered = [replace(stage_1, iif=ifname, priority=at.steer_uplinks) for ifname in topology.uplink_ifnames]
    once = [rule for rule in steered if not _translates_sources_from(topology, rule)]
    past = replace(stage_1, action="goto", table=None, goto=at.steer_uplinks)
    if once:
        for network in topology.inside_networks(stage_1.family):
            yield replace(past, priority=at.uplinks_to_inside, destination=str(network))
    if once and (topology.routes or topology.honoured):
        # There are some for each of them and each uplink, and every packet would be compared with all.
        yield replace(past, priority=at.stage_2_skips_uplinks, mark=topology.stage_mask)
    for rule in once:
        others = _by_main(topology, rule)
        for asked in _of_routes(topology, replace(past, iif=rule.iif)):
            exact = replace(others, priority=at.uplinks_to_routed, source=asked.source, destination=asked.destination)
            length = ip_network(str(asked.destination)).prefixlen
            yield replace(exact, mark=asked.mark, mask=asked.mask, suppress_prefix_length=length)
            yield asked
        yield others
        mine = [h for h in topology.honoured if h.iif in (None, rule.iif)]
        for honoured, asked in _honoured(topology, others, mine):
            yield replace(asked, mark=honoured.mark & ~topology.stage_mask, mask=honoured.mask)
    yield from steered


def _of_routes(topology: Topology, past: FibRule) -> Iterator[FibRule]:
    """Past the tables of the host, as what routes of the spec name."""
    for conditions in (route.conditions for route in topology.routes):
        if conditions.family != past.family:
            continue
        for iif, source, destination in each_combination(conditions):
            if destination is not None and iif in (None, past.iif):
                rule = replace(past, priority=topology.priorities.uplinks_past_others, source=source)
                mark = conditions.mark.value if conditions.mark else 0
                mask = topology.stage_mask | (conditions.mark.mask if conditions.mark else 0)
                yield replace(rule, destination=destination, mark=mark, mask=mask)


def _honoured(topology: Topology, others: FibRule, among: Sequence[Honoured]) -> Iterator[tuple[Honoured, FibRule]]:
    """Rules of others, as stage 2 asks them, in the form of the rule `others`, which asks main."""
    at = topology.priorities
    for before_main, priority in ((True, at.uplinks_to_honoured), (False, at.uplinks_to_honoured_behind)):
        group = [h for h in topology.honoured if h.family == others.family and h.before_main == before_main]
        for index, honoured in enumerate(group):
            if honoured in among:
                rule = replace(others, priority=priority(index), table=honoured.table, source=honoured.source)
                rule = replace(rule, destination=honoured.destination)
                yield honoured, replace(rule, suppress_prefix_length=honoured.suppress_prefix_length)


def _translates_sources_from(topology: Topology, steered: FibRule) -> bool:
    rules = (rule.conditions for rule in topology.source_rules)
    twice = (topology.uplink(entry.uplink) for entry in topology.twice if entry.real.version == steered.family)
    return any(steered.iif in rule.ifnames for rule in rules if rule.family == steered.family) or any(
        uplink.interface.ifname == steered.iif for uplink in twice
    )
