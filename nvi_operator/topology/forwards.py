"""Destination NAT, resolved: map entries where one server is meant, a rule where there is a choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from operator import attrgetter
from typing import NamedTuple, TypedDict

from nvi_operator.language.check.addresses import AddressSpan, overlapping
from nvi_operator.language.model.nat_entries import Forward
from nvi_operator.language.model.services import FAMILY_OF_PROTOCOL, PortRange, Service, Target
from nvi_operator.language.model.values import FAMILIES, Address, Family
from nvi_operator.topology.exceptions import networks_without
from nvi_operator.topology.health import NO_HEALTH, UNKNOWN, HealthFacts, chosen
from nvi_operator.topology.interfaces import Inside, Tenant, Uplink
from nvi_operator.topology.model import Topology
from nvi_operator.topology.rules import ForwardEntry, ForwardRule
from nvi_operator.topology.servers import ForwardServer, forward_servers


class ResolvedForwards(TypedDict):
    """What of a Topology is about forwards."""

    forwards: tuple[ForwardEntry, ...]
    forward_rules: tuple[ForwardRule, ...]
    servers: tuple[ForwardServer, ...]
    ambiguous_publics: frozenset[Address]
    suppressed_forwards: tuple[str, ...]
    forwards_elsewhere: tuple[tuple[str, Address], ...]


class _Matched(NamedTuple):
    """`offset`: which of the ports of a range it is, where servers have another range."""

    service: Service | None = None
    offset: int | None = None
    source_services: tuple[Service, ...] = ()
    protocol: str | None = None


def resolve_forwards(
    forwards: Mapping[str, Forward],
    uplinks: Sequence[Uplink],
    inside_interfaces: Sequence[Inside],
    tenants: Mapping[str, Tenant],
    health: HealthFacts = NO_HEALTH,
) -> ResolvedForwards:
    """All forwards, by name; those on an uplink without an address now are left out until it has one."""
    entries: list[ForwardEntry] = []
    rules: list[ForwardRule] = []
    servers: list[ForwardServer] = []
    by_name = {uplink.name: uplink for uplink in uplinks}
    publics: dict[tuple[tuple[str, ...] | None, Family], tuple[Address, ...]] = {}
    elsewhere: list[tuple[str, Address]] = []
    home_of = _home_finder(inside_interfaces)
    for name in sorted(forwards):
        forward = forwards[name]
        for family, targets in _by_family(forward.to):
            homes = [home_of(target.address) for target in targets]
            tenant = tenants[forward.tenant].number if forward.tenant else homes[0] or 0
            if None in homes:
                elsewhere += ((name, target.address) for target in targets if home_of(target.address) is None)
            if forward.health:
                targets = chosen(name, targets, health)
                servers += forward_servers(name, targets, tenant, inside_interfaces, health)
            where = publics.get((forward.at, family))
            if where is None:
                where = publics[forward.at, family] = tuple(_publics(forward, family, by_name))
            for public in where:
                if len(targets) == 1 and not forward.is_limited:
                    entries += _entries(name, forward, public, targets[0], tenant)
                else:
                    rules += _rules(name, forward, public, targets, family, tenant)
    ambiguous_publics = _ambiguous_publics(publics, uplinks)
    suppressed: tuple[str, ...] = ()
    if ambiguous_publics:
        entries, rules, suppressed = _without_lost(entries, rules, ambiguous_publics)
    return {
        "forwards": tuple(entries),
        "forward_rules": tuple(rules),
        "servers": tuple(servers),
        "ambiguous_publics": ambiguous_publics,
        "suppressed_forwards": suppressed,
        "forwards_elsewhere": tuple(elsewhere),
    }


def resolve_forwards_again(
    before: Topology,
    forwards: Mapping[str, Forward],
    uplinks: Sequence[Uplink],
    inside_interfaces: Sequence[Inside],
    tenants: Mapping[str, Tenant],
    health: HealthFacts,
) -> ResolvedForwards:
    """The same on other facts. They may be a million: only those that depend on what differs are resolved again."""
    same_uplinks = _for_forwards(before.uplinks) == _for_forwards(uplinks)
    if not same_uplinks or before.inside_interfaces != inside_interfaces or before.ambiguous_publics:
        return resolve_forwards(forwards, uplinks, inside_interfaces, tenants, health)
    known: ResolvedForwards = {
        "forwards": before.forwards,
        "forward_rules": before.forward_rules,
        "servers": before.servers,
        "ambiguous_publics": before.ambiguous_publics,
        "suppressed_forwards": before.suppressed_forwards,
        "forwards_elsewhere": before.forwards_elsewhere,
    }
    probed = {server.forward: forwards[server.forward] for server in before.servers}
    if not probed:
        return known
    again = resolve_forwards(probed, uplinks, inside_interfaces, tenants, health)
    rules = (*(rule for rule in before.forward_rules if rule.name not in probed), *again["forward_rules"])
    by_name = tuple(sorted(rules, key=attrgetter("name")))  # stable: those of one forward stay as they are
    return {**known, "forward_rules": by_name, "servers": again["servers"]}


def _for_forwards(uplinks: Iterable[Uplink]) -> list[Uplink]:
    """Uplinks without what forwards do not depend on."""
    return [
        replace(uplink, wire=(), health=UNKNOWN, route_mtus={}, clamped_mtus={}, announced=()) for uplink in uplinks
    ]


def _ambiguous_publics(
    places: Iterable[tuple[tuple[str, ...] | None, Family]], uplinks: Sequence[Uplink]
) -> frozenset[Address]:
    """No spec can tell what a lease will be: it may be an address that forwards name, and be theirs by two names."""
    leased = {str(address) for uplink in uplinks if uplink.dynamic for address in uplink.addresses}
    return frozenset(ip_address(place) for at, _ in places for place in at or () if place in leased)


def _without_lost(
    entries: Sequence[ForwardEntry], rules: Sequence[ForwardRule], ambiguous_publics: frozenset[Address]
) -> tuple[list[ForwardEntry], list[ForwardRule], tuple[str, ...]]:
    """Those whose public port no other that is first by name has already, and the names of the others."""
    both: list[ForwardEntry | ForwardRule] = [*entries, *rules]
    by_name = sorted(both, key=attrgetter("name"))
    spans: dict[tuple[Address, str | None], list[AddressSpan[int]]] = {}
    for number, one in enumerate(by_name):
        if one.public not in ambiguous_publics or (isinstance(one, ForwardRule) and one.conditional):
            continue
        ports = _public_ports(one)
        first, last = (ports.first, ports.last) if ports else (0, 0)
        spans.setdefault((one.public, _public_protocol(one)), []).append(AddressSpan(4, first, last, number, number))
    lost = {later.owner for group in spans.values() for later, _ in overlapping(group)}
    left = [one for number, one in enumerate(by_name) if number not in lost]
    return (
        [one for one in left if isinstance(one, ForwardEntry)],
        [one for one in left if isinstance(one, ForwardRule)],
        tuple(dict.fromkeys(by_name[number].name for number in sorted(lost))),
    )


def _public_ports(one: ForwardEntry | ForwardRule) -> PortRange | None:
    if isinstance(one, ForwardEntry):
        return one.ports
    return one.service.ports if one.service else None


def _public_protocol(one: ForwardEntry | ForwardRule) -> str | None:
    return one.service.protocol if isinstance(one, ForwardRule) and one.service else one.protocol


def _by_family(targets: Sequence[Target]) -> Sequence[tuple[Family, Sequence[Target]]]:
    if len(targets) == 1:
        return ((targets[0].address.version, targets),)
    by_family = ((family, [target for target in targets if target.address.version == family]) for family in FAMILIES)
    return [(family, chosen) for family, chosen in by_family if chosen]


def _publics(forward: Forward, family: Family, uplinks: Mapping[str, Uplink]) -> Iterator[Address]:
    """The public addresses: an uplink's name stands for its address."""
    for item in forward.at or tuple(uplinks):
        address = uplinks[item].primary(family) if item in uplinks else ip_address(item)
        if address is not None and address.version == family:
            yield address


def _home_finder(inside_interfaces: Sequence[Inside]) -> Callable[[Address], int | None]:
    """The tenant of the first inside interface that has an address. 0: of none; None: no inside host can have it."""
    # By prefix length, because asking each network in turn is a product of two large numbers.
    homes: dict[Family, dict[int, dict[int, tuple[int, int]]]] = {family: {} for family in FAMILIES}
    shared = {(address.version, int(address)) for inside in inside_interfaces for address in inside.shared}
    for order, inside in enumerate(inside_interfaces):
        for network in inside.networks:
            shift = network.max_prefixlen - network.prefixlen
            same = homes[network.version].setdefault(shift, {})
            same.setdefault(int(network.network_address) >> shift, (order, inside.tenant))

    def home_of(address: Address) -> int | None:
        number, family = int(address), address.version
        if (family, number) in shared:
            return None
        found = [same[number >> shift] for shift, same in homes[family].items() if number >> shift in same]
        return min(found)[1] if found else None

    return home_of


def _portless(forward: Forward, family: Family) -> Iterator[str]:
    """The protocols without ports, of those that the family has."""
    for protocol in forward.protocol or ():
        if FAMILY_OF_PROTOCOL.get(protocol, family) == family:
            yield protocol


def _entries(name: str, forward: Forward, public: Address, target: Target, tenant: int) -> Iterator[ForwardEntry]:
    server, moved, hairpin = target.address, target.ports, forward.hairpin
    if forward.is_of_everything:
        yield ForwardEntry(name, public, None, None, server, None, tenant, hairpin)
        return
    for protocol in _portless(forward, public.version):
        yield ForwardEntry(name, public, protocol, None, server, None, tenant, hairpin)
    for service in forward.ports or ():
        ports, protocol = service.ports, service.protocol
        if moved is None or moved == ports:
            first = ports.first if ports.first == ports.last else None
            yield ForwardEntry(name, public, protocol, ports, server, first, tenant, hairpin)
        elif ports.first == ports.last:
            yield ForwardEntry(name, public, protocol, ports, server, moved.first, tenant, hairpin)
        else:  # nft cannot shift a range: a port each (check_forwards.MAX_SHIFTED bounds how many)
            for offset in range(ports.size):
                port = ports.first + offset
                yield ForwardEntry(
                    name, public, protocol, PortRange(port, port), server, moved.first + offset, tenant, hairpin
                )


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
    clients = networks_without(clients, forward.except_ or (), family)
    if not clients and (forward.from_ or any(n.version == family for n in forward.except_ or ())):
        return
    for service, offset, source_services, protocol in _matches(forward, targets, family):
        yield ForwardRule(
            name,
            public,
            service,
            clients,
            _choices(targets, offset),
            forward.pick,
            tenant,
            forward.hairpin,
            source_services,
            protocol,
            forward.dscp or (),
            forward.mark,
        )


def _choices(targets: Sequence[Target], offset: int | None) -> tuple[tuple[Address, int | None, int], ...]:
    """Servers with their weights, and the port that each gets: `offset` behind its first; None: the one asked."""
    ports = (None if target.ports is None or offset is None else target.ports.first + offset for target in targets)
    return tuple((target.address, port, target.weight) for target, port in zip(targets, ports, strict=True))


def _matches(forward: Forward, targets: Sequence[Target], family: Family) -> Iterator[_Matched]:
    """What each rule of a forward is about."""
    sent_from: dict[str, tuple[Service, ...]] = {}
    for source in forward.from_ports or ():
        sent_from[source.protocol] = (*sent_from.get(source.protocol, ()), source)
    if forward.is_of_everything:
        for source_services in sent_from.values() or ((),):
            yield _Matched(source_services=source_services)
    for protocol in _portless(forward, family):
        yield _Matched(protocol=protocol)
    for service in forward.ports or ():
        source_services = sent_from.get(service.protocol, ())
        if all(t.ports in (None, service.ports) for t in targets):
            yield _Matched(service, None, source_services)
            continue
        for offset in range(service.ports.size):
            port = service.ports.first + offset
            yield _Matched(Service(service.protocol, PortRange(port, port)), offset, source_services)
