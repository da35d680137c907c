"""How the gateway's own packets leave, where the spec says something of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from nvi_operator.kinds.fib_rule.combinations import each_combination
from nvi_operator.language.model.services import PortRange
from nvi_operator.language.model.values import Family, Network, within
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import MAIN, own_table
from nvi_operator.topology.rules import Conditions, OwnRule


def own_rules(topology: Topology, family: Family) -> Iterator[tuple[FibRule, OwnRule | None]]:
    """What the gateway itself sends, with the rule of the spec that says so. Before the kernel's rule for `main`.

    Behind the uplinks' sources: what is bound to one of them, as answers are, keeps to its uplink.
    """
    rules = topology.own_rules(family)
    if not rules:
        return
    at = topology.priorities
    for honoured in topology.honoured:
        if honoured.family == family and honoured.mark == topology.stage_mask and honoured.iif is None:
            foreign = FibRule(family, at.own_foreign, "lookup", honoured.table, iif="lo", source=honoured.source)
            foreign = replace(foreign, destination=honoured.destination)
            yield replace(foreign, suppress_prefix_length=honoured.suppress_prefix_length), None
    for wire in _wires(topology, rules):
        connected = FibRule(family, at.own_foreign, "lookup", MAIN, iif="lo", destination=str(wire))
        yield replace(connected, suppress_prefix_length=0), None
    bound = topology.bound(family)
    for interface in topology.interfaces:
        rule = FibRule(family, at.own_bound, "goto", goto=at.local_skips_backstop, iif="lo", oif=interface.ifname)
        if interface.ifname in bound:
            table = own_table(topology.table, bound[interface.ifname].slot)
            rule = replace(rule, action="lookup", goto=None, table=table)
        yield rule, None
    for own in rules:
        for rule in _of_own(topology, own):
            yield rule, own


def _wires(topology: Topology, rules: Sequence[OwnRule]) -> Iterator[Network]:
    """Connected networks of uplinks: only a rule that names a part of one is about it."""
    named = [network for rule in rules for network in rule.conditions.destinations]
    wires = dict.fromkeys(network for uplink in topology.uplinks for network in uplink.on_link)
    for wire in wires:
        of_hosts = wire.version == rules[0].conditions.family and wire.prefixlen < wire.max_prefixlen
        if of_hosts and not any(within(network, wire) for network in named):
            yield wire


def _of_own(topology: Topology, own: OwnRule) -> Iterator[FibRule]:
    at, conditions = topology.priorities, own.conditions
    if own.without:
        beyond = at.local_skips_backstop if own.last else at.own(own.layer + 1)
        past = FibRule(conditions.family, at.own(own.layer - 1), "goto", goto=beyond, iif="lo")
        for excepted in own.without:
            yield from _each(past, excepted)
    way = FibRule(conditions.family, at.own(own.layer), "unreachable", iif="lo")
    if own.action == "leave":
        way = replace(way, action="goto", goto=at.local_skips_backstop)
    elif own.uplink is not None:
        way = replace(way, action="lookup", table=own_table(topology.table, topology.uplink(own.uplink).slot))
    if conditions.mark is not None:  # of the socket (SO_MARK)
        way = replace(way, mark=conditions.mark.value, mask=conditions.mark.mask)
    yield from _each(way, conditions)


def _each(way: FibRule, conditions: Conditions) -> Iterator[FibRule]:
    for _, source, destination in each_combination(replace(conditions, ifnames=())):
        for protocol, source_ports, ports in conditions.services_of_one:
            yield replace(
                way,
                source=source,
                destination=destination,
                protocol="ipv6-icmp" if protocol == "icmpv6" else protocol,
                source_ports=_first_and_last(source_ports),
                destination_ports=_first_and_last(ports),
            )


_LAST_PORT = 65534  # in FIB rules: fib_rule_port_range_valid(), Linux 6.18


def _first_and_last(ports: PortRange | None) -> tuple[int, int] | None:
    """None: every port."""
    if ports is None or (ports.first, ports.last) == (1, 65535):
        return None
    return min(ports.first, _LAST_PORT), min(ports.last, _LAST_PORT)
