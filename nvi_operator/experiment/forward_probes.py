"""Packets that try forwards: from a stranger beyond the address's uplink, and from inside (hairpin). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice

from nvi_operator.dataclass import dataclass
from nvi_operator.experiment.places import Places, spread
from nvi_operator.experiment.probe import Expected, PacketProbe, Sampled, ranges, why_none
from nvi_operator.experiment.translation import is_redirected
from nvi_operator.language.model.services import PortRange, Service
from nvi_operator.language.model.values import Address, Network
from nvi_operator.topology.interfaces import Inside
from nvi_operator.topology.rules import ForwardEntry, ForwardRule

_FREE_PORT = 47808
_CLIENTS = 64


@dataclass(frozen=True)
class _Way:
    """One way into a forward, as both kinds of entries have it."""

    name: str
    public: Address
    service: Service | str | None
    servers: tuple[Address, ...]
    ports: tuple[int, ...]
    tenant: int
    hairpin: bool
    clients: tuple[Network, ...] = ()
    source_ports: tuple[PortRange, ...] = ()
    dscp: int = 0
    marked: bool = False


class ForwardProbes:
    def __init__(self, places: Places, most: int) -> None:
        self.places = places
        self.most = most
        self.sampled: list[Sampled] = []
        self._left_out: dict[str, str] = {}
        self._turns = count()

    def probes(self) -> list[PacketProbe]:
        topology = self.places.topology
        names = sorted({e.name for e in topology.forwards} | {rule.name for rule in topology.forward_rules})
        chosen = set(spread(names, self.most))
        ways = [way for entry in topology.forwards if entry.name in chosen for way in _of_entry(entry)]
        ways += [way for rule in topology.forward_rules if rule.name in chosen for way in _of_rule(rule)]
        limited: dict[Address, list[ForwardRule]] = {}
        for rule in topology.forward_rules:
            limited.setdefault(rule.public, []).append(rule)
        found = [probe for way in sorted(ways, key=lambda w: w.name) for probe in self._of(way, limited)]
        if names:
            self.sampled.append(Sampled.of("forwards", names, chosen, found, self._left_out))
        return found

    def _of(self, way: _Way, limited: dict[Address, list[ForwardRule]]) -> Iterator[PacketProbe]:
        protocol = way.service.protocol if isinstance(way.service, Service) else None
        if why := why_none(protocol, marked=way.marked):
            self._left_out[way.name] = why
            return
        others = [n for r in limited.get(way.public, ()) if r.name != way.name and _meets(r, way) for n in r.clients]
        expected = self._expected(way)
        owner = self.places.owner(way.public)
        if owner is not None:
            client = self._stranger(way, others)
            if client is not None:
                packet = self.places.packet(
                    owner.interface.ifname,
                    client,
                    way.public,
                    way.service,
                    source_ports=way.source_ports,
                    dscp=way.dscp,
                )
                what = f"the Internet to {_shown(way)} by {owner.name}"
                yield PacketProbe("forwards", way.name, what, packet, expected, owner.name)
            else:
                self._left_out[way.name] = f"no host of the Internet is a client at {way.public}"
        if way.hairpin and not way.source_ports:
            yield from self._from_inside(way, expected, others)
        if owner is None and not way.hairpin:
            self._left_out[way.name] = f"{way.public} is an address of no uplink"

    def _stranger(self, way: _Way, others: Sequence[Network]) -> Address | None:
        """Flows without ports of one client to one server are one flow to conntrack, whatever address was asked."""
        found = list(islice(self.places.strangers(way.public.version, way.clients, others), _CLIENTS))
        return found[self._turn(way) % len(found)] if found else None

    def _turn(self, way: _Way) -> int:
        return next(self._turns) if isinstance(way.service, str) or way.source_ports else 0

    def _from_inside(self, way: _Way, expected: Expected, others: Sequence[Network]) -> Iterator[PacketProbe]:
        """Probes from the server's own network, and from one other."""
        home = self.places.home(way.servers[0], way.tenant or None)
        other = next((i for i in self.places.topology.inside_interfaces if i is not home), None)
        for inside in (home, other):
            if inside is None:
                continue
            client = next(self._clients(inside, way, others), None)
            if client is not None:
                packet = self.places.packet(inside.interface.ifname, client, way.public, way.service, dscp=way.dscp)
                if any(is_redirected(rule, packet) for rule in self.places.topology.redirects):
                    continue  # a redirect comes first
                what = f"{client} to {_shown(way)}"
                yield PacketProbe("hairpin", way.name, what, packet, expected)

    def _clients(self, inside: Inside, way: _Way, others: Sequence[Network]) -> Iterator[Address]:
        for client in self.places.clients(inside, way.public.version, self._turn(way)):
            allowed = not way.clients or any(client in network for network in way.clients)
            if allowed and client not in way.servers and not any(client in network for network in others):
                yield client

    def _expected(self, way: _Way) -> Expected:
        homes = [self.places.home(server, way.tenant or None) for server in way.servers]
        ifnames = frozenset(home.interface.ifname for home in homes if home is not None)
        return Expected(ifnames=ifnames, destinations=ranges(way.servers), destination_ports=way.ports)


def _of_entry(entry: ForwardEntry) -> Iterator[_Way]:
    """Its first and its last port."""
    common = (entry.tenant, entry.hairpin)
    if entry.ports is None:
        yield _Way(entry.name, entry.public, entry.protocol, (entry.target,), (), *common)
        return
    assert entry.protocol is not None
    for port in dict.fromkeys((entry.ports.first, entry.ports.last)):
        moved = port if entry.target_port is None else entry.target_port
        service = Service(entry.protocol, PortRange(port, port))
        yield _Way(entry.name, entry.public, service, (entry.target,), (moved,), *common)


def _of_rule(rule: ForwardRule) -> Iterator[_Way]:
    choices = [choice for choice in rule.choices if choice[2] > 0] or list(rule.choices)
    servers = tuple(server for server, _, _ in choices)
    sources = tuple(s.ports for s in rule.source_services)
    service: Service | str | None = rule.protocol
    ports: tuple[int, ...] = ()
    if rule.service is not None:
        first = rule.service.ports.first
        service = Service(rule.service.protocol, PortRange(first, first))
        ports = tuple(dict.fromkeys(port or first for _, port, _ in choices))
    elif rule.source_services:
        service = Service(rule.source_services[0].protocol, PortRange(_FREE_PORT, _FREE_PORT))
    dscp = next(iter(rule.dscps), 0)
    marked = rule.mark is not None
    yield _Way(
        rule.name,
        rule.public,
        service,
        servers,
        ports,
        rule.tenant,
        rule.hairpin,
        rule.clients,
        sources,
        dscp,
        marked,
    )


def _meets(rule: ForwardRule, way: _Way) -> bool:
    """May a packet to this way be one of the rule's?"""
    if rule.service is None or not isinstance(way.service, Service):
        return rule.is_of_everything
    same = rule.service.protocol == way.service.protocol
    return same and rule.service.ports.first <= way.service.ports.first <= rule.service.ports.last


def _shown(way: _Way) -> str:
    return f"{way.public}" if way.service is None else f"{way.public} {way.service}"
