"""Destination NAT: rules for the few forwards that choose a server, one hash map for ports, interval maps for ranges.

The most specific comes first: redirects, twice NAT, ports and protocols with a choice of servers, ports, port ranges,
protocols without ports, 1:1, whole addresses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.services import PORT_PROTOCOLS
from nvi_operator.language.model.values import Family
from nvi_operator.nft.ast import (
    Chain,
    Count,
    Element,
    Hash,
    Hook,
    Key,
    Lookup,
    Match,
    NamedSet,
    Nat,
    Rule,
    SetRef,
    Statement,
    Verdict,
)
from nvi_operator.nft.columns import ElementColumns
from nvi_operator.nft.text import statement_text
from nvi_operator.nft.values import ports_value, protocol_value
from nvi_operator.ruleset import fields as f
from nvi_operator.ruleset.balance import Member, spread
from nvi_operator.ruleset.netmap import limited_rules, network_maps, twice_rules
from nvi_operator.ruleset.raw import opened_from_outside
from nvi_operator.ruleset.redirects import redirected
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import DSTNAT
from nvi_operator.topology.rules import ForwardEntry, ForwardRule


@dataclass(frozen=True)
class ForwardMap:
    """A map of forwards or of 1:1 NAT. Without `hairpin` it is not asked for packets of inside hosts."""

    named: NamedSet
    hairpin: bool = True
    whole_addresses: bool = False


def dstnat_chains(topology: Topology, maps: Mapping[Family, Sequence[ForwardMap]]) -> Iterator[Chain]:
    """`maps` come from `forward_maps`."""
    rules = list(opened_from_outside(topology))
    own: list[Rule] = []  # of what the gateway itself sends to what it publishes
    servers = {rule: _servers(rule) for rule in topology.forward_rules}
    shared = {nat: name for nat, count in Counter(servers.values()).items() if count > 1 and (name := _name(nat))}
    for family in topology.families:
        rules += redirected(topology, family)
        rules += twice_rules("dnat", topology, family)
        rules += limited_rules("dnat", topology, family)
        chosen = [
            (rule, (*is_asked_for(topology, rule), Count(rule.counter), *_to(servers[rule], shared)))
            for rule in topology.forward_rules
            if rule.public.version == family
        ]
        rules += _in_order(topology, family, chosen, maps[family])
        if not topology.tenants:
            from_inside = [(rule, statements) for rule, statements in chosen if rule.hairpin]
            own += _in_order(topology, family, from_inside, [map_ for map_ in maps[family] if map_.hairpin])
    yield Chain("dstnat", Hook("nat", "prerouting", DSTNAT), tuple(rules))
    if own:
        yield Chain("own_dstnat", Hook("nat", "output", DSTNAT), tuple(own))
    for nat, name in shared.items():
        yield Chain(name, None, ((*_with_ports(nat), nat),))


def _in_order(
    topology: Topology,
    family: Family,
    chosen: Sequence[tuple[ForwardRule, Rule]],
    maps: Sequence[ForwardMap],
) -> Iterator[Rule]:
    yield from (statements for rule, statements in chosen if rule.service or rule.protocol)
    whole = [statements for rule, statements in chosen if not (rule.service or rule.protocol)]
    for map_ in maps:
        if map_.whole_addresses:
            yield from whole
            whole = []
        named, where = map_.named, () if map_.hairpin else (_from_uplinks(topology),)
        nat = Nat("dnat", family, Lookup(_key(named, family), SetRef(named.name)), netmap=named.prefix_values)
        yield (*where, nat)
    yield from whole


def _key(map_: NamedSet, family: Family) -> Key:
    if len(map_.key) == 1:
        return f.daddr(family)
    if len(map_.key) == 2:
        return f.protocol_key(family)
    return f.service_range_key(family) if map_.interval else f.service_key(family)


def _from_uplinks(topology: Topology) -> Match:
    return f.one_of(f.IIFNAME, topology.uplink_ifnames)


def is_asked_for(topology: Topology, rule: ForwardRule) -> Iterator[Match]:
    """Is a packet for one of the servers of this rule?"""
    family: Family = rule.public.version
    if not rule.hairpin:
        yield _from_uplinks(topology)
    if rule.clients:
        yield f.in_networks(f.saddr(family), rule.clients)
    yield Match(f.daddr(family), "==", str(rule.public))
    yield from f.of_first_packet(family, rule.dscps, rule.mark)
    if rule.source_services:
        yield f.of_services(rule.source_services, "sport")
    if rule.service:
        yield f.of_services((rule.service,))
    if rule.protocol:
        yield Match(f.L4PROTO, "==", protocol_value(rule.protocol))


def _servers(rule: ForwardRule) -> Nat:
    """Translate to one of the working servers. A server keeps its slots on whatever port, and while others fail."""
    family: Family = rule.public.version
    used = [choice for choice in rule.choices if choice[2]]
    if len(used) == 1:
        server, port, _ = used[0]
        return Nat("dnat", family, str(server), port)
    with_ports = any(port is not None for _, port, _ in rule.choices)
    own_port = rule.service.ports.first if rule.service else 0
    times: Counter[str] = Counter()
    members: list[Member] = []
    for address, port, weight in rule.choices:
        name = str(address)
        key = f"{name}#{times[name]}" if times[name] else name
        if weight:
            members.append(Member(key, (name, port or own_port) if with_ports else (name,), weight))
        times[name] += 1
    by_port = rule.pick == "client-port" and not rule.protocol  # such protocols have no ports
    client = (f.saddr(family), f.SPORT) if by_port else (f.saddr(family),)
    return Nat("dnat", family, spread(rule.pick, client, members))


def _name(nat: Nat) -> str | None:
    """The chain for several forwards that choose alike; None where they do not choose, or choose independently."""
    if not isinstance(nat.address, Lookup) or not isinstance(nat.address.key, Hash):
        return None
    return f"servers_{blake2b(statement_text(nat).encode(), digest_size=6).hexdigest()}"


def _with_ports(nat: Nat) -> Iterator[Match]:
    """nft lets a rule name ports only behind a match on protocols that have some (seen with 1.0.6)."""
    choices = nat.address.map if isinstance(nat.address, Lookup) else ()
    if not isinstance(choices, SetRef) and any(isinstance(to, tuple) and len(to) > 1 for _, to in choices):
        yield Match(f.L4PROTO, "==", frozenset(PORT_PROTOCOLS))


def _to(nat: Nat, shared: Mapping[Nat, str]) -> tuple[Statement, ...]:
    return (Verdict("jump", shared[nat]),) if nat in shared else (nat,)


# --------------------------------------------------------------------------- maps


_SUFFIXES = {True: "", False: "_outside"}  # by `hairpin`


def forward_maps(topology: Topology, family: Family) -> Iterator[ForwardMap]:
    """The maps that hold something, in the order in which rules ask them."""
    # Comprehensions that make nothing but lists: there may be 100,000 entries.
    version = IPv4Address if family == 4 else IPv6Address
    mine = [entry for entry in topology.forwards if type(entry.public) is version]
    port = [e for e in mine if e.ports is not None and e.ports.first == e.ports.last]
    range_ = [e for e in mine if e.ports is not None and e.ports.first != e.ports.last]
    portless = [e for e in mine if e.ports is None and e.protocol is not None]
    whole = [e for e in mine if e.ports is None and e.protocol is None]
    for hairpin, suffix in _SUFFIXES.items():
        if entries := [e for e in port if e.hairpin is hairpin]:
            yield ForwardMap(_port_map(f"dnat_port_{family}{suffix}", family, entries), hairpin)
        if entries := [e for e in range_ if e.hairpin is hairpin]:
            yield ForwardMap(_range_map(f"dnat_range_{family}{suffix}", family, entries), hairpin)
        if entries := [e for e in portless if e.hairpin is hairpin]:
            yield ForwardMap(_protocol_map(f"dnat_protocol_{family}{suffix}", family, entries), hairpin)
    static = ((entry.mapped, entry.real) for entry in topology.statics if not entry.limited)
    yield from map(ForwardMap, network_maps("dnat", family, static))
    for hairpin, suffix in _SUFFIXES.items():
        if entries := [e for e in whole if e.hairpin is hairpin]:
            named = _whole_map(f"dnat_all_{family}{suffix}", family, entries)
            yield ForwardMap(named, hairpin, whole_addresses=True)


def _port_map(name: str, family: Family, entries: list[ForwardEntry]) -> NamedSet:
    columns = (
        [e.public for e in entries],
        [e.protocol for e in entries],
        [e.ports.first for e in entries if e.ports],
        [e.target for e in entries],
        [e.target_port for e in entries],
    )
    key, values = f.service_types(family), (f.ADDRESS_TYPE[family], "inet_service")
    return NamedSet(name, key, ElementColumns(columns, len(key)), values)


def _range_map(name: str, family: Family, entries: list[ForwardEntry]) -> NamedSet:
    elements: frozenset[Element] = frozenset(
        ((str(e.public), e.protocol, ports_value(e.ports)), (str(e.target),))
        for e in entries
        if e.protocol and e.ports
    )
    return NamedSet(name, f.service_types(family), elements, (f.ADDRESS_TYPE[family],), interval=True)


def _protocol_map(name: str, family: Family, entries: list[ForwardEntry]) -> NamedSet:
    elements: frozenset[Element] = frozenset(
        ((str(e.public), protocol_value(e.protocol)), (str(e.target),)) for e in entries if e.protocol
    )
    return NamedSet(name, f.protocol_types(family), elements, (f.ADDRESS_TYPE[family],))


def _whole_map(name: str, family: Family, entries: list[ForwardEntry]) -> NamedSet:
    type_ = (f.ADDRESS_TYPE[family],)
    elements: frozenset[Element] = frozenset(((str(e.public),), (str(e.target),)) for e in entries)
    return NamedSet(name, type_, elements, type_)
