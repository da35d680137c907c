"""Source NAT, on the way into the device only: in stage 1 the out-interface is always the device.

So the destination has to tell whether a packet leaves by an uplink: packets to another inside network are not
translated, unless destination NAT sent them there (hairpin), or tenants are involved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from ipaddress import ip_network

from nvi_operator.language.model.fields import SourcePorts
from nvi_operator.language.model.servers import Pick
from nvi_operator.language.model.services import PORT_PROTOCOLS
from nvi_operator.language.model.values import Family, Network
from nvi_operator.nft.ast import (
    Chain,
    Count,
    Field,
    Hook,
    Lookup,
    Masked,
    Match,
    NamedSet,
    Nat,
    Rule,
    SetRef,
    Statement,
    Verdict,
)
from nvi_operator.nft.values import address_range_value, network_value, ports_value
from nvi_operator.ruleset import fields as f
from nvi_operator.ruleset.balance import Member, spread
from nvi_operator.ruleset.guard import inside_set, of_no_rule
from nvi_operator.ruleset.netmap import limited_rules, network_maps, network_nat, twice_rules
from nvi_operator.ruleset.redirects import known_as_gateway, same_tenant
from nvi_operator.topology.exceptions import networks_without, services_without
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import ORIGIN_MASK, SRCNAT, TARGET_MASK
from nvi_operator.topology.prefixes import fewest
from nvi_operator.topology.rules import (
    Conditions,
    OneToOne,
    OwnRule,
    SourceRule,
    Spread,
    ToRange,
    Unavailable,
    Unchanged,
)


def srcnat_chain(topology: Topology) -> Chain:
    elsewhere = f.leaves_by_device(topology, op="!=")
    rules: list[Rule] = [(elsewhere, f.RETURN)]
    if _translates_own(topology):
        rules.insert(0, (elsewhere, Match(f.IIF, "==", 0), Verdict("jump", _OWN)))
    for family in topology.families:
        rules += twice_rules("snat", topology, family)
        rules += limited_rules("snat", topology, family)
        for rule in topology.source_rules:
            if rule.conditions.family == family and (part := topology.asked_first(rule)):
                rules += _rule(topology, part)
        rules += known_as_gateway(topology, family)
        rules += _among_inside_networks(topology, family)
        rules += _static(topology, family)
    for rule in topology.source_rules:
        if not topology.gives_inside_address(rule):
            rules += _rule(topology, rule)
    for family in topology.families:
        for matches in of_no_rule(topology, family):
            rules.append((*matches, *f.not_from_uplinks(topology), *f.drop("leak_untranslated")))
        if topology.inside_networks(family):
            inside = f.in_set(f.saddr(family), *inside_set(topology, family))
            rules.append((inside, *f.not_from_uplinks(topology), stays_untranslated(family)))
    return Chain("srcnat", Hook("nat", "postrouting", SRCNAT), tuple(rules))


_OWN = "own_sources"


def own_sources(topology: Topology) -> Iterator[Chain]:
    """The gateway's own packets, which leave in one pass, where their route cannot give the source of the spec.

    Only with the source that the route gave: what is bound to another address keeps it.
    """
    if not _translates_own(topology):
        return
    rules = [rule for own in topology.own if own.section == "sourceNat" for rule in _own_rule(topology, own)]
    yield Chain(_OWN, None, tuple(rules))


def _own_rule(topology: Topology, own: OwnRule) -> Iterator[Rule]:
    """The first that matches counts, as for FIB rules: those that translate nothing are here as well."""
    conditions = _with_exceptions(own)
    if own.uplink is None:
        if own.action == "leave":
            yield from _rule_for(SourceRule(own.name, conditions, Unchanged()), ())
        return
    uplink = topology.uplink(own.uplink)
    source = topology.own_source(uplink, conditions.family)
    if source is None:
        return
    if not conditions.sources:
        conditions = replace(conditions, sources=(ip_network(source),))
    by = Match(f.OIFNAME, "==", uplink.interface.ifname)
    rule = SourceRule(own.name, conditions, own.translation or Unchanged())
    yield from ((by, *statements) for statements in _rule_for(rule, ()))


def _with_exceptions(own: OwnRule) -> Conditions:
    """One set of conditions, where FIB rules have further ones."""
    conditions, family = own.conditions, own.conditions.family
    for excepted in own.without:
        conditions = replace(
            conditions,
            sources=networks_without(conditions.sources, excepted.sources if conditions.sources else (), family),
            destinations=networks_without(conditions.destinations, excepted.destinations, family),
            services=services_without(conditions.services, excepted.services),
            excepted=(*conditions.excepted, *excepted.services),
        )
    return conditions


def _translates_own(topology: Topology) -> bool:
    return any(own.translation for own in topology.own)


def counters(topology: Topology) -> set[str]:
    """The counters of what the table does: most of the gateway's own packets need no translation."""
    own = {rule.counter for rule in topology.own if rule.section == "sourceNat"}
    return {rule.counter for rule in topology.source_rules} | (own if _translates_own(topology) else set())


def _among_inside_networks(topology: Topology, family: Family) -> Iterator[Rule]:
    """Between inside networks: a hairpin gets the public address as its source, other packets stay as they are."""
    for inside in topology.inside_interfaces:
        networks = inside.of_family(family)
        if networks:
            yield (
                f.is_dnated(),
                f.in_networks(f.daddr(family), networks),
                Match(f.IIFNAME, "==", inside.interface.ifname),
                *same_tenant(inside),
                Nat("snat", family, f.original_daddr(family)),
            )
    shared = topology.inside_networks(family, tenant=0)
    if shared:
        yield (
            f.in_set(f.saddr(family), f"shared_{family}", shared),
            f.in_set(f.daddr(family), f"shared_{family}", shared),
            *_not_on_a_wire(topology, family, shared),
            *_no_tenant(topology),
            stays_untranslated(family),
        )


def stays_untranslated(family: Family) -> Nat:
    """What the kernel itself gives a flow that no rule translates (nf_nat_alloc_null_binding()), only earlier.

    `accept` ends this chain alone: a container engine, behind it, would give what its containers send another source,
    and to the device, which has no address, that of any interface. Asked for the first packet of a flow only.
    """
    return Nat("snat", family, f.saddr(family))


def _not_on_a_wire(topology: Topology, family: Family, networks: tuple[Network, ...]) -> Iterator[Match]:
    """Hosts beside an uplink see its address, although a wide inside network contains theirs."""
    if wires := topology.wires_within(networks):
        yield f.in_networks(f.daddr(family), fewest(wires, family), op="!=")


def _no_tenant(topology: Topology) -> tuple[Statement, ...]:
    if not topology.tenants:
        return ()
    return (Match(Masked(f.CT_MARK, ORIGIN_MASK | TARGET_MASK), "==", 0),)


def _static(topology: Topology, family: Family) -> Iterator[Rule]:
    for map_ in static_maps(topology, family):
        nat = Nat("snat", family, Lookup(f.saddr(family), SetRef(map_.name)), netmap=map_.prefix_values)
        yield (*f.not_from_uplinks(topology), nat)
    for tenant in topology.tenants:
        ifnames = tuple(i.interface.ifname for i in topology.inside_interfaces if i.tenant == tenant.number)
        for entry in topology.statics:
            if entry.tenant == tenant.number and entry.real.version == family and not entry.limited:
                yield (
                    f.one_of(f.IIFNAME, ifnames),
                    f.in_networks(f.saddr(family), (entry.real,)),
                    network_nat("snat", family, entry.real, entry.mapped),
                )


def static_maps(topology: Topology, family: Family) -> Iterator[NamedSet]:
    """Real to public, without tenants: their addresses occur twice, and so are no keys."""
    yield from network_maps(
        "snat",
        family,
        ((s.real, s.mapped) for s in topology.statics if not s.tenant and not s.limited and s.outgoing),
    )


# --------------------------------------------------------------------------- the rules of the spec


def _rule(topology: Topology, rule: SourceRule) -> Iterator[Rule]:
    where = () if rule.conditions.ifnames else f.not_from_uplinks(topology)
    yield from _rule_for(rule, where)


def _rule_for(rule: SourceRule, where: tuple[Statement, ...]) -> Iterator[Rule]:
    for ports in f.by_protocol(rule.conditions):
        match = (*f.of_conditions(rule.conditions, ports), *where)  # addresses are faster than names
        by_port = any(isinstance(m.left, Field) and m.left.name.endswith("port") for m in ports)
        has_ports = by_port or bool(set(rule.conditions.protocols) & {"tcp", "udp", "sctp", "dccp"})
        for limit, target in _targets(rule, has_ports):
            yield (*match, *limit, Count(rule.counter), target)


def _client(family: Family, pick: Pick, protocols: Collection[str]) -> tuple[Field, ...]:
    """The fields that the choice depends on; no port where none of the rule's protocols has one."""
    if pick == "client-port" and (not protocols or set(protocols) & set(PORT_PROTOCOLS)):
        return f.saddr(family), f.SPORT
    return (f.saddr(family),) if pick in ("client", "client-port") else (f.saddr(family), f.daddr(family))


def _with_ports(
    nat: Nat, ports: SourcePorts | None, has_ports: bool
) -> Iterator[tuple[tuple[Statement, ...], Statement]]:
    if ports == "random":
        yield (), replace(nat, flags=nat.flags | {"fully-random"})
        return
    if ports is not None:
        where: tuple[Statement, ...] = () if has_ports else (Match(f.L4PROTO, "==", frozenset({"tcp", "udp"})),)
        yield where, replace(nat, ports=ports_value(ports))
    if ports is None or not has_ports:
        yield (), nat


def _targets(rule: SourceRule, has_ports: bool) -> Iterator[tuple[tuple[Statement, ...], Statement]]:
    """(further matches, action). Only protocols with ports get a port range."""
    family = rule.conditions.family
    match rule.action:
        case Unchanged():
            yield (), stays_untranslated(family)
        case Unavailable():
            yield (), Verdict("drop")
        case ToRange(addresses, ports, persistent):
            flags = frozenset({"persistent"} if persistent and addresses.size > 1 else ())
            yield from _with_ports(Nat("snat", family, address_range_value(addresses), None, flags), ports, has_ports)
        case Spread(choices, pick, ports):
            members = [Member(c.key, (str(c.address),), c.weight) for c in choices]
            nat = Nat("snat", family, spread(pick, _client(family, pick, rule.conditions.protocols), members))
            yield from _with_ports(nat, ports, has_ports)
        case OneToOne(pairs):
            single = frozenset(
                ((network_value(a),), (network_value(b),)) for a, b in pairs if a.prefixlen == a.max_prefixlen
            )
            prefixes = [(a, b) for a, b in pairs if a.prefixlen < a.max_prefixlen]
            if single:
                yield (), Nat("snat", family, Lookup(f.saddr(family), single))
            for real, mapped in prefixes:
                yield (), network_nat("snat", family, real, mapped)
