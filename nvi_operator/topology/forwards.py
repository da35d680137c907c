"""Destination NAT, resolved: map entries where one server is meant, a rule where there is a choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import TypedDict

from nvi_operator.spec.bulk import Forward
from nvi_operator.spec.models import GatewaySpec
from nvi_operator.spec.values import Address, PortRange, Service, Target
from nvi_operator.topology.model import (
    FAMILIES,
    Family,
    ForwardEntry,
    ForwardRule,
    Inside,
    Tenant,
    Uplink,
)


class ResolvedForwards(TypedDict):
    forwards: tuple[ForwardEntry, ...]
    forward_rules: tuple[ForwardRule, ...]


def resolve_forwards(
    spec: GatewaySpec,
    uplinks: Sequence[Uplink],
    insides: Sequence[Inside],
    tenants: Mapping[str, Tenant],
) -> ResolvedForwards:
    """All forwards, by name; those on an uplink without an address now are left out until it has one."""
    entries: list[ForwardEntry] = []
    rules: list[ForwardRule] = []
    for name, forward in sorted(spec.forwards.items()):
        for family in FAMILIES:
            targets = [target for target in forward.to if target.address.version == family]
            if not targets:
                continue
            tenant = _tenant(forward, targets, insides, tenants)
            for public in _publics(forward, family, uplinks):
                if len(targets) == 1 and not forward.from_:
                    entries += _entries(forward, public, targets[0], tenant)
                else:
                    rules += _rules(name, forward, public, targets, family, tenant)
    return {"forwards": tuple(entries), "forward_rules": tuple(rules)}


def _publics(forward: Forward, family: Family, uplinks: Sequence[Uplink]) -> Iterator[Address]:
    """The public addresses: an uplink's name stands for its address."""
    by_name = {uplink.name: uplink for uplink in uplinks}
    for item in forward.at or tuple(by_name):
        address = by_name[item].primary(family) if item in by_name else ip_address(item)
        if address is not None and address.version == family:
            yield address


def _tenant(
    forward: Forward, targets: Sequence[Target], insides: Sequence[Inside], tenants: Mapping[str, Tenant]
) -> int:
    if forward.tenant:
        return tenants[forward.tenant].number
    server = targets[0].address
    return next((i.tenant for i in insides if any(server in network for network in i.networks)), 0)


def _entries(forward: Forward, public: Address, target: Target, tenant: int) -> Iterator[ForwardEntry]:
    def entry(service: Service | None, ports: PortRange | None, port: int | None) -> ForwardEntry:
        protocol = service.protocol if service else None
        return ForwardEntry(public, protocol, ports, target.address, port, tenant, forward.hairpin)

    if not forward.ports:
        yield entry(None, None, None)
        return
    for service in forward.ports:
        if target.ports is None or target.ports == service.ports:
            first = service.ports.first if service.ports.size == 1 else None
            yield entry(service, service.ports, first)
            continue
        # nft cannot shift a range: a port each (check.py bounds how many).
        for offset in range(service.ports.size):
            port = service.ports.first + offset
            yield entry(service, PortRange(port, port), target.ports.first + offset)


def _rules(
    name: str,
    forward: Forward,
    public: Address,
    targets: Sequence[Target],
    family: Family,
    tenant: int,
) -> Iterator[ForwardRule]:
    clients = tuple(n for n in forward.from_ or () if n.version == family)
    if forward.from_ and not clients:
        return

    def rule(service: Service | None, offset: int | None) -> ForwardRule:
        choices = tuple(
            (t.address, None if t.ports is None or offset is None else t.ports.first + offset, t.weight)
            for t in targets
        )
        return ForwardRule(name, public, service, clients, choices, forward.pick, tenant, forward.hairpin)

    for service in forward.ports or (None,):
        moved = service and any(t.ports not in (None, service.ports) for t in targets)
        if not service or not moved:
            yield rule(service, None)
            continue
        for offset in range(service.ports.size):
            port = service.ports.first + offset
            yield rule(Service(service.protocol, PortRange(port, port)), offset)
