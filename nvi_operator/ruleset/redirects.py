"""Redirects: destination NAT of what inside hosts ask for, and the source that a server beside them sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nvi_operator.language.model.services import PortRange, Service
from nvi_operator.language.model.values import Family
from nvi_operator.nft.ast import Count, Masked, Match, Nat, Redirect, Rule, Statement, Verdict
from nvi_operator.ruleset import fields as f
from nvi_operator.topology.interfaces import Inside
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import ORIGIN_MASK, ORIGIN_SHIFT, TARGET_MASK
from nvi_operator.topology.rules import RedirectRule


def redirected(topology: Topology, family: Family) -> Iterator[Rule]:
    """Before all other destination NAT: wherever it was sent."""
    for rule in topology.redirects:
        if rule.conditions.family == family:
            yield from ((*match, Count(rule.counter), _target(rule)) for match in _asked(topology, rule))


def redirected_tenants(topology: Topology, family: Family) -> Iterator[Rule]:
    """The target tenant of what is redirected, whatever tenant the address that was asked belongs to."""
    for rule in topology.redirects:
        if rule.tenant and rule.conditions.family == family:
            jump = Verdict("jump", f"to_{topology.tenant_labels[rule.tenant]}")
            yield from ((f.is_new(), *match, jump) for match in _asked(topology, rule))


def known_as_gateway(topology: Topology, family: Family) -> Iterator[Rule]:
    """A server in the client's own network answers through the gateway, because it knows the client as it."""
    for rule in topology.redirects:
        if rule.conditions.family != family or rule.server is None:
            continue
        for beside in rule.beside:
            for ports in f.by_protocol(replace(rule.conditions, services=_served(rule))):
                yield (
                    f.is_dnated(),
                    Match(f.daddr(family), "==", str(rule.server)),
                    Match(f.IIFNAME, "==", beside.inside.interface.ifname),
                    *ports,
                    *same_tenant(beside.inside),
                    Nat("snat", family, str(beside.own)),
                )


def same_tenant(inside: Inside) -> tuple[Statement, ...]:
    """The server must belong to the client's own tenant: another tenant's server may have the same address."""
    if not inside.tenant:
        return ()
    both = inside.tenant << ORIGIN_SHIFT | inside.tenant
    return (Match(Masked(f.CT_MARK, ORIGIN_MASK | TARGET_MASK), "==", both),)


def _asked(topology: Topology, rule: RedirectRule) -> Iterator[tuple[Statement, ...]]:
    family = rule.conditions.family
    where = () if rule.conditions.ifnames else f.not_from_uplinks(topology)
    for ports in f.by_protocol(rule.conditions):
        match = [*f.of_conditions(rule.conditions, ports), *where]
        if rule.spared_sources:
            match.append(f.in_networks(f.saddr(family), rule.spared_sources, op="!="))
        if rule.spared:
            match.append(f.in_networks(f.daddr(family), rule.spared, op="!="))
        yield tuple(match)


def _target(rule: RedirectRule) -> Statement:
    if rule.server is None:
        return Redirect(rule.port)
    return Nat("dnat", rule.conditions.family, str(rule.server), rule.port)


def _served(rule: RedirectRule) -> tuple[Service, ...]:
    """The ports of the server."""
    if rule.port is None:
        return rule.conditions.services
    port = PortRange(rule.port, rule.port)
    return tuple(dict.fromkeys(Service(service.protocol, port) for service in rule.conditions.services))
