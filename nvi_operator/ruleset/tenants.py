"""The origin and the target tenant of each flow, in its conntrack mark.

Stage 2 cannot tell identical networks apart by address, so it needs what stage 1 knew. The in-interface of the flow
gives the origin; the public address and port give the target, the tenant of the server.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.language.model.values import Family
from nvi_operator.nft.ast import (
    Chain,
    Element,
    Hook,
    NamedSet,
    Rule,
    SetBits,
    SetRef,
    Value,
    Verdict,
    Vmap,
)
from nvi_operator.nft.values import network_value, ports_value, protocol_value
from nvi_operator.ruleset import dstnat, netmap
from nvi_operator.ruleset import fields as f
from nvi_operator.ruleset.redirects import redirected_tenants
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import ORIGIN_MASK, ORIGIN_SHIFT, TARGET_MASK, TENANTS
from nvi_operator.topology.rules import ForwardRule, StaticEntry


def tenant_chains(topology: Topology) -> Iterator[Chain]:
    """Nothing where there are no tenants."""
    if not topology.tenants:
        return
    origins: frozenset[Element] = frozenset(
        ((inside.interface.ifname,), Verdict("jump", f"from_{tenant.label}"))
        for tenant in topology.tenants
        for inside in topology.inside_interfaces
        if inside.tenant == tenant.number
    )
    new = f.is_new()
    rules: list[Rule] = [(new, Vmap(f.IIFNAME, origins))]
    for family in topology.families:
        # What `dstnat` asks first comes last: it overrides the others.
        of_some = [rule for rule in reversed(topology.forward_rules) if _by_rule(rule, family)]
        rules.append((new, Vmap(f.daddr(family), SetRef(f"tenant_of_address_{family}"))))
        rules += (_to(topology, rule) for rule in of_some if rule.is_of_everything)
        rules.append((new, Vmap(f.protocol_key(family), SetRef(f"tenant_of_protocol_{family}"))))
        rules.append((new, Vmap(f.service_range_key(family), SetRef(f"tenant_of_service_{family}"))))
        rules += (_to(topology, rule) for rule in of_some if not rule.is_of_everything)
        rules += (
            _to(topology, entry) for entry in reversed(netmap.limited_entries(topology, family)) if entry.tenant
        )
        rules += redirected_tenants(topology, family)
    yield Chain("tenants", Hook("filter", "prerouting", TENANTS), tuple(rules))
    for tenant in topology.tenants:
        origin = SetBits(f.CT_MARK, tenant.number << ORIGIN_SHIFT, ORIGIN_MASK & ~(tenant.number << ORIGIN_SHIFT))
        target = SetBits(f.CT_MARK, tenant.number, TARGET_MASK & ~tenant.number)
        yield Chain(f"from_{tenant.label}", None, ((origin,),))
        yield Chain(f"to_{tenant.label}", None, ((target,),))


def _by_rule(rule: ForwardRule, family: Family) -> bool:
    """Does the tenant of a flow to this address and service depend on more than these?"""
    return bool(rule.tenant and rule.conditional and rule.public.version == family)


def _to(topology: Topology, entry: ForwardRule | StaticEntry) -> Rule:
    """The tenant of what is for some packets only. Others to the same address may be for another tenant."""
    if isinstance(entry, ForwardRule):
        matches = dstnat.is_asked_for(topology, entry)
    else:
        matches = netmap.is_asked_for(entry, entry.mapped.version)
    return (f.is_new(), *matches, Verdict("jump", f"to_{topology.tenant_labels[entry.tenant]}"))


def tenant_maps(topology: Topology) -> Iterator[NamedSet]:
    """Public address with protocol and port, with protocol, and alone, and prefixes, to the tenant behind them."""
    if not topology.tenants:
        return
    labels = topology.tenant_labels
    for family in topology.families:
        services: dict[tuple[Value, ...], Verdict] = {}
        protocols: dict[tuple[Value, ...], Verdict] = {}
        addresses: dict[tuple[Value, ...], Verdict] = {}
        for entry in topology.forwards:
            if entry.tenant and entry.public.version == family:
                jump = Verdict("jump", f"to_{labels[entry.tenant]}")
                if entry.protocol and entry.ports:
                    services[str(entry.public), entry.protocol, ports_value(entry.ports)] = jump
                elif entry.protocol:
                    protocols[str(entry.public), protocol_value(entry.protocol)] = jump
                else:
                    addresses[(str(entry.public),)] = jump
        for rule in topology.forward_rules:
            if rule.tenant and not rule.conditional and rule.public.version == family:
                jump = Verdict("jump", f"to_{labels[rule.tenant]}")
                if rule.service:
                    ports = ports_value(rule.service.ports)
                    services[str(rule.public), rule.service.protocol, ports] = jump
                elif rule.protocol:
                    protocols[str(rule.public), protocol_value(rule.protocol)] = jump
                else:
                    addresses[(str(rule.public),)] = jump
        for static in topology.statics:
            if static.tenant and not static.limited and static.mapped.version == family:
                addresses[(network_value(static.mapped),)] = Verdict("jump", f"to_{labels[static.tenant]}")
        yield _verdict_map(f"tenant_of_service_{family}", f.service_types(family), services)
        yield _verdict_map(f"tenant_of_protocol_{family}", f.protocol_types(family), protocols, interval=False)
        yield _verdict_map(f"tenant_of_address_{family}", (f.ADDRESS_TYPE[family],), addresses)


def _verdict_map(
    name: str, types: tuple[str, ...], elements: dict[tuple[Value, ...], Verdict], *, interval: bool = True
) -> NamedSet:
    return NamedSet(name, types, frozenset(elements.items()), ("verdict",), interval)
