"""What a new flow of an inside host has to leave as, and by which uplink, read off the resolved gateway. Pure.

Written from the meaning of the spec's sections, and not from the rules that are made of them: it is what these are
held against.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nvi_operator.dataclass import dataclass
from nvi_operator.experiment.places import Places
from nvi_operator.experiment.probe import Addresses, Disposition, Expected, ranges
from nvi_operator.explain.packet import Packet
from nvi_operator.language.model.services import PortRange, Service, protocol_number
from nvi_operator.language.model.values import Address, Network, in_any
from nvi_operator.topology.interfaces import Inside
from nvi_operator.topology.rules import (
    Conditions,
    OneToOne,
    RedirectRule,
    SourceRule,
    StaticEntry,
    ToRange,
    TwiceEntry,
    Unavailable,
    Unchanged,
)

_MOST_ADDRESSES = 256  # of a pool, whose uplinks are looked at


@dataclass(frozen=True)
class Leaving:
    """`law` and `entry` name what translates it; without an entry nothing does."""

    law: str
    entry: str
    expected: Expected


def leaving(places: Places, inside: Inside, packet: Packet) -> Leaving:
    """What becomes of a packet from behind `inside` to a stranger."""
    topology = places.topology
    for redirect in topology.redirects:
        if is_redirected(redirect, packet):
            return Leaving("redirects", redirect.name, served(places, redirect, packet))
    for twice in topology.twice:
        if _begins(twice, packet):
            destinations = ranges([counterpart(packet.destination, twice.alias, twice.far)])
            sources = ranges([counterpart(packet.source, twice.real, twice.mapped)])
            uplinks = frozenset({twice.uplink})
            return Leaving(
                "twice NAT", twice.name, Expected(uplinks=uplinks, sources=sources, destinations=destinations)
            )
    static = next(iter(sorted(_statics(places, inside, packet), key=lambda s: not s.limited)), None)
    if static is not None:
        sources = ranges([counterpart(packet.source, static.real, static.mapped)])
        return Leaving("1:1 NAT", static.name, _led(places, packet, sources))
    for rule in topology.source_rules:
        if matches(rule.conditions, packet):
            return Leaving("source NAT", rule.name, _by_rule(places, rule, packet))
    if in_any(packet.source, inside.delegated):  # public: it needs no translation
        return Leaving("delegated", "", _led(places, packet, ranges([packet.source])))
    return Leaving("source NAT", "", Expected(Disposition.DROPPED))


def is_redirected(rule: RedirectRule, packet: Packet) -> bool:
    spared = in_any(packet.source, rule.spared_sources) or in_any(packet.destination, rule.spared)
    return matches(rule.conditions, packet) and not spared


def served(places: Places, rule: RedirectRule, packet: Packet) -> Expected:
    """What is expected of a packet that the server of a redirect, or the gateway itself, takes."""
    if rule.server is None:
        return Expected(Disposition.ANSWERED)
    home = places.home(rule.server, rule.tenant)
    ifnames = frozenset({home.interface.ifname}) if home else frozenset()
    port = rule.port or packet.destination_port or 0
    return Expected(ifnames=ifnames, destinations=ranges([rule.server]), destination_ports=(port,))


def _begins(twice: TwiceEntry, packet: Packet) -> bool:
    return in_any(packet.source, (twice.real,)) and in_any(packet.destination, (twice.alias,))


def _statics(places: Places, inside: Inside, packet: Packet) -> Iterator[StaticEntry]:
    for static in places.topology.statics:
        tenant = not static.tenant or static.tenant == inside.tenant
        applies = static.outgoing and not static.askers and tenant and in_any(packet.source, (static.real,))
        if applies and (not static.far or in_any(packet.destination, static.far)):
            yield static


def _by_rule(places: Places, rule: SourceRule, packet: Packet) -> Expected:
    action = rule.action
    if isinstance(action, Unavailable):
        return Expected(Disposition.DROPPED)
    if isinstance(action, Unchanged):
        return _untranslated(places, packet)
    if isinstance(action, OneToOne):
        pairs = ((real, mapped) for real, mapped in action.pairs if packet.source in real)
        mapped = (counterpart(packet.source, real, mapped) for real, mapped in pairs)
        return _led(places, packet, ranges(mapped))
    if isinstance(action, ToRange):
        sources: Addresses = (action.addresses,)
    else:
        sources = ranges(choice.address for choice in action.choices)
    ports = (action.ports,) if isinstance(action.ports, PortRange) else ()
    return _led(places, packet, sources, ports)


def _untranslated(places: Places, packet: Packet) -> Expected:
    """It leaves by a route that matches, or by the default uplink; where there is none, not at all."""
    topology, sources = places.topology, ranges([packet.source])
    home = places.home(packet.destination)
    if home is not None:
        return Expected(ifnames=frozenset({home.interface.ifname}), sources=sources)
    way = topology.default_way(packet.family)
    route = next((r.uplink for r in topology.routes if matches(r.conditions, packet)), way and way.untranslated)
    return Expected(uplinks=frozenset({route}), sources=sources) if route else Expected(Disposition.DROPPED)


def _led(places: Places, packet: Packet, sources: Addresses, ports: tuple[PortRange, ...] = ()) -> Expected:
    """With the uplinks that lead out packets with these sources: those of routes that match, or their owners."""
    home = places.home(packet.destination)
    if home is not None:
        return Expected(ifnames=frozenset({home.interface.ifname}), sources=sources, source_ports=ports)
    uplinks: set[str] = set()
    for source in _some(sources):
        route = next(
            (r for r in places.topology.routes if matches(r.conditions, packet, source)),
            None,
        )
        owner = places.owner(source)
        if route is None and owner is None:  # no uplink lets it out
            return Expected(Disposition.DROPPED)
        uplinks.add(route.uplink if route else owner.name if owner else "")
    return Expected(uplinks=frozenset(uplinks), sources=sources, source_ports=ports)


def _some(addresses: Addresses) -> Iterator[Address]:
    for item in addresses:
        for number in range(int(item.first), min(int(item.last), int(item.first) + _MOST_ADDRESSES) + 1):
            yield type(item.first)(number)


def matches(conditions: Conditions, packet: Packet, source: Address | None = None) -> bool:
    """`source`: what it is translated to, for a route."""
    source = source or packet.source
    asked = (
        conditions.family == packet.family,
        not conditions.sources or in_any(source, conditions.sources),
        not conditions.destinations or in_any(packet.destination, conditions.destinations),
        not conditions.ifnames or packet.in_interface in conditions.ifnames,
        not conditions.protocols or packet.protocol in map(protocol_number, conditions.protocols),
        not conditions.services or _of(packet.protocol, packet.destination_port, conditions.services),
        not conditions.source_services or _of(packet.protocol, packet.source_port, conditions.source_services),
        not _of(packet.protocol, packet.destination_port, conditions.excepted),
        not conditions.dscps or packet.dscp in conditions.dscps,
        conditions.mark is None or packet.mark & conditions.mark.mask == conditions.mark.value,
    )
    return all(asked)


def _of(protocol: int, port: int | None, services: Iterable[Service]) -> bool:
    return port is not None and any(protocol_number(s.protocol) == protocol and port in s.ports for s in services)


def counterpart(address: Address, of: Network, there: Network) -> Address:
    """What an address of one prefix is in another, which is as large."""
    return type(address)(int(there.network_address) + int(address) - int(of.network_address))
