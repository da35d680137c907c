"""FIB rules (`ip rule`): who is steered into stage 1, and how stage 2 finds its way.

Few of them, because every packet passes them twice. docs/architecture.md has the table, docs/adr/0004 the reasons
for its order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_network
from itertools import product

from nvi_operator.kind import Kind, Phase, command
from nvi_operator.language.model.services import PortRange
from nvi_operator.language.model.values import Family, Network, within
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.exceptions import networks_without
from nvi_operator.topology.far_side import ways_to_far
from nvi_operator.topology.interfaces import Uplink
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import (
    MAIN,
    OWN_CONNECTED,
    OWN_DEFAULT,
    TENANT_MASK,
    UPLINK_MASK,
    own_table,
    routed_table,
    uplink_bits,
)
from nvi_operator.topology.rules import Conditions, Honoured, OwnRule, Unchanged


def _desired(topology: Topology) -> Iterator[FibRule]:
    for family in topology.families:
        yield from _steer(topology, family)
        yield from _before_main(topology, family)
        yield from _stage_2(topology, family)
        yield from (rule for rule, _ in own_rules(topology, family))
        yield from _backstop(topology, family)


def _steer(topology: Topology, family: Family) -> Iterator[FibRule]:
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
    stage_1 = FibRule(family, at.steer, "lookup", topology.table, mark=0, mask=topology.stage_mask)
    for interface in topology.interfaces:
        if interface.ifname not in topology.uplink_ifnames:
            yield replace(stage_1, iif=interface.ifname)
    # By source as well: a rule by interface is detached the moment the interface is renamed.
    for network in topology.inside_networks(family):
        yield replace(stage_1, source=str(network))
    yield from _from_uplinks(topology, stage_1)


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


def _before_main(topology: Topology, family: Family) -> Iterator[FibRule]:
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
            for iif, source, destination in _combinations(route.conditions):
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
    for _, source, destination in _combinations(replace(conditions, ifnames=())):
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


def _stage_2(topology: Topology, family: Family) -> Iterator[FibRule]:
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
    if topology.inside_networks(family) and topology.uplinks and not topology.by_source_map:
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
    for address, ifname in topology.unlisted(family).items():
        table = next(u.table for u in topology.uplinks if u.interface.ifname == ifname)
        yield FibRule(family, at.unlisted, "lookup", table, iif="lo", source=str(ip_network(address)))
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
        for _, source, destination in _combinations(conditions):
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


def _combinations(conditions: Conditions) -> Iterator[tuple[str | None, str | None, str | None]]:
    def each(networks: Iterable[Network]) -> Iterable[str | None]:
        words = [str(network) if network.prefixlen else None for network in networks]
        return words if words and None not in words else [None]  # every address is no condition to the kernel

    yield from product(conditions.ifnames or [None], each(conditions.sources), each(conditions.destinations))


def _backstop(topology: Topology, family: Family) -> Iterator[FibRule]:
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


def _phase(rule: FibRule) -> Phase:
    """Where the gateway's own packets go on comes first of all: they never lose their way.

    Then what refuses, and what steers into the device; rules that lead out come last.
    """
    if rule.mark == 0 and (rule.action == "goto" or rule.table == MAIN):
        return Phase.ROUTES  # past the device
    if rule.action == "nop" or rule.table == MAIN:
        return Phase.UNREACHABLE
    steers = rule.mark == 0 or rule.iif == "lo"
    return Phase.ROUTES if rule.action == "lookup" and not steers else Phase.BACKSTOP


def _script(rule: FibRule, topology: Topology) -> Iterator[str]:
    yield command("ip", f"-{rule.family}", "rule", "add", *str(rule).split(), "protocol", topology.protocol)


FIB_RULE = Kind(
    "fib-rule",
    FibRule,
    "ip rule",
    _desired,
    phase=_phase,
    describe=lambda rule: f"-{rule.family} {rule}",
    noun="ip rule",
    script=_script,
    within=lambda rule: rule.priority,
)
