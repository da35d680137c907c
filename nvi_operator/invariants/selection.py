"""The packets that an assertion is about, as they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.region import Region
from nvi_operator.explain.spans import NOTHING, Spans
from nvi_operator.invariants.classes import Classes, every_protocol, region
from nvi_operator.language.model.assertions import INSIDE, OUTSIDE, Assertion, End
from nvi_operator.language.model.services import Service, protocol_number
from nvi_operator.language.model.values import FAMILIES, SELF, Family, Network
from nvi_operator.topology.interfaces import Uplink

_EVERY_PORT = Spans(((1, 65535),))
_CHOSEN = Spans.one(0)  # as a source: the gateway chooses its address itself


@dataclass(frozen=True)
class _Sender:
    """An interface, and who sends by it; None: the gateway itself. `asks`: the addresses that come in there."""

    in_interface: str | None
    sources: Spans
    asks: Spans


@dataclass(frozen=True)
class _Kind:
    protocols: Spans
    destination_ports: Spans = _EVERY_PORT
    source_ports: Spans = _EVERY_PORT


def selected(classes: Classes, assertion: Assertion) -> Iterator[Region]:
    """The packets, in disjoint classes; none where no host sends such."""
    for family in FAMILIES:
        if family not in classes.topology.families or family not in assertion.families:
            continue
        asked = _asked(classes, assertion, family)
        marks = (assertion.mark.value if assertion.mark else 0,)
        for sender, kind, dscp, mark in product(
            _senders(classes, assertion, family), _kinds(assertion, family), _dscps(classes, assertion), marks
        ):
            destinations = asked & sender.asks
            if sender.sources and destinations and kind.protocols and kind.destination_ports:
                yield region(
                    family,
                    [sender.in_interface],
                    sources=sender.sources,
                    destinations=destinations,
                    protocols=kind.protocols,
                    destination_ports=kind.destination_ports,
                    source_ports=kind.source_ports,
                    dscp=dscp,
                    mark=mark,
                )


# --------------------------------------------------------------------------- from where


def _senders(classes: Classes, assertion: Assertion, family: Family) -> Iterator[_Sender]:
    ends: tuple[End, ...] = assertion.from_ or ("inside", "outside")
    named = Spans.networks(end for end in ends if not isinstance(end, str) and end.version == family)
    excepted = _networks(assertion.except_.from_ if assertion.except_ else None, family)
    everywhere = classes.hosts(family)
    for inside in classes.topology.inside_interfaces:
        ifname = inside.interface.ifname
        if assertion.in_ is None or ifname in assertion.in_:
            behind = classes.behind(inside, family)
            yield _Sender(ifname, (behind if INSIDE in ends else behind & named) - excepted, everywhere)
    for uplink in classes.topology.uplinks:
        if assertion.in_ is None or uplink.interface.ifname in assertion.in_:
            outside = classes.clients(uplink, family)
            sources = (outside if OUTSIDE in ends else outside & named) - excepted
            yield from _outside(classes, assertion, uplink, family, sources)
    if assertion.in_ is None:
        bound = _networks((end for end in ends if not isinstance(end, str) and end.num_addresses == 1), family)
        chosen = _CHOSEN if SELF in ends and _may_leave(classes, assertion, family) else NOTHING
        yield _Sender(None, chosen | (bound & classes.own(family)), everywhere)


def _may_leave(classes: Classes, assertion: Assertion, family: Family) -> bool:
    """How the gateway's own packets leave is asked of families that an uplink has: of others it sends none."""
    if not (assertion.by or assertion.as_):
        return True
    return any(family in uplink.families or not uplink.families for uplink in classes.topology.uplinks)


def _outside(
    classes: Classes, assertion: Assertion, uplink: Uplink, family: Family, sources: Spans
) -> Iterator[_Sender]:
    """By an uplink comes what is sent to its addresses, and from a site behind it what is sent to the inside.

    Where the assertion says to which addresses it is whatever is sent there, but for those of another uplink.
    """
    ifname, own = uplink.interface.ifname, Spans.networks(uplink.sources(family))
    if assertion.at is not None:
        yield _Sender(ifname, sources, classes.hosts(family) - (classes.public(family) - own))
        return
    site = _networks(uplink.far, family)
    yield _Sender(ifname, sources - site, own)
    yield _Sender(ifname, sources & site, own | classes.inside(family))


def _networks(networks: Iterable[Network] | None, family: Family) -> Spans:
    return Spans.networks(network for network in networks or () if network.version == family)


# --------------------------------------------------------------------------- to where, and what


def _asked(classes: Classes, assertion: Assertion, family: Family) -> Spans:
    """Where they are sent. How packets leave is asked of those to the outside alone, and not to an uplink's wire."""
    everywhere = classes.hosts(family)
    if assertion.at is not None:
        named = {uplink.name: uplink for uplink in classes.topology.uplinks}
        of_uplinks = (a for place in assertion.at if isinstance(place, str) for a in named[place].addresses)
        of_networks = _networks((place for place in assertion.at if not isinstance(place, str)), family)
        return everywhere & (of_networks | Spans.addresses(a for a in of_uplinks if a.version == family))
    if assertion.only or assertion.never or assertion.reaches:
        return everywhere
    wires = _networks((network for uplink in classes.topology.uplinks for network in uplink.on_link), family)
    return classes.outside(family) - wires


def _kinds(assertion: Assertion, family: Family) -> Iterator[_Kind]:
    """Protocols with ports one by one, where ports are named; the others together."""
    excepted = (assertion.except_.ports if assertion.except_ else None) or ()
    named = assertion.ports or assertion.from_ports  # of the same protocols, where both are given
    if named:
        for protocol in dict.fromkeys(service.protocol for service in named):
            asked, sent_from = (_named(ports, protocol) for ports in (assertion.ports, assertion.from_ports))
            yield _Kind(Spans.one(protocol_number(protocol)), asked - _ports(excepted, protocol), sent_from)
        return
    protocols = every_protocol(family)
    if assertion.protocol:
        numbers = (protocol_number(protocol) for protocol in assertion.protocol)
        protocols = protocols & Spans.of((number, number) for number in numbers)
    for protocol in dict.fromkeys(service.protocol for service in excepted):
        number = Spans.one(protocol_number(protocol))
        if protocols & number:
            protocols = protocols - number
            yield _Kind(number, _EVERY_PORT - _ports(excepted, protocol))
    yield _Kind(protocols)


def _named(services: Sequence[Service] | None, protocol: str) -> Spans:
    return _ports(services, protocol) if services else _EVERY_PORT


def _ports(services: Iterable[Service], protocol: str) -> Spans:
    return Spans.of((s.ports.first, s.ports.last) for s in services if s.protocol == protocol)


def _dscps(classes: Classes, assertion: Assertion) -> Iterable[int]:
    """Values that the assertion names, or that the spec tells from one another, with one that it does not name."""
    if assertion.dscp:
        return assertion.dscp
    topology = classes.topology
    named = {dscp for rule in topology.source_rules for dscp in rule.conditions.dscps}
    named |= {dscp for rule in topology.forward_rules for dscp in rule.dscps}
    other = next(dscp for dscp in range(64) if dscp not in named) if len(named) < _DSCPS else None
    return sorted(named if other is None else {*named, other})


_DSCPS = 64
