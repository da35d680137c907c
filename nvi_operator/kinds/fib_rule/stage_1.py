"""Who is steered into stage 1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nvi_operator.language.model.values import Family
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import MAIN, UPLINK_MASK


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
    """Answers of inside hosts to containers that their engine translates take one pass: see ruleset/others.py."""
    if topology.inside_networks(family) and topology.uplinks:
        yield FibRule(
            family,
            topology.priorities.answers_of_others,
            "lookup",
            MAIN,
            mark=topology.local_mask,
            mask=topology.local_mask | topology.stage_mask | UPLINK_MASK,
            suppress_prefix_length=0,
            suppress_group=topology.link_group,
        )


def _from_uplinks(topology: Topology, stage_1: FibRule) -> Iterator[FibRule]:
    """What goes to a network of the host that the spec does not name, such as a container's, takes one pass.

    Its destination is translated by now, and its source stays, unless the spec translates what comes in by this
    interface. Firewalls of such a bridge see the packet once, and as part of its connection.
    """
    at = topology.priorities
    steered = [replace(stage_1, iif=ifname, priority=at.steer_uplinks) for ifname in topology.uplink_ifnames]
    once = [rule for rule in steered if not _translates_sources_from(topology, rule)]
    if once:
        past = replace(stage_1, priority=at.uplinks_to_inside, action="goto", table=None, goto=at.steer_uplinks)
        for network in topology.inside_networks(stage_1.family):
            yield replace(past, destination=str(network))
    for rule in once:
        others = replace(rule, priority=at.uplinks_to_others, table=MAIN, suppress_prefix_length=0)
        yield replace(others, suppress_group=topology.link_group)
    yield from steered


def _translates_sources_from(topology: Topology, steered: FibRule) -> bool:
    rules = (rule.conditions for rule in topology.source_rules)
    twice = (topology.uplink(entry.uplink) for entry in topology.twice if entry.real.version == steered.family)
    return any(steered.iif in rule.ifnames for rule in rules if rule.family == steered.family) or any(
        uplink.interface.ifname == steered.iif for uplink in twice
    )
