"""Assertions of a spec, held against packets that were sent: every one that an assertion is about. Pure.

`validate` decides about all packets by computing; here some are sent for each assertion, and what became of these and
of all others that it is about has to be as it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from nvi_operator.experiment.judge import ObservedPacket, ProbeResult, endpoints
from nvi_operator.experiment.places import SERVICES, Places
from nvi_operator.experiment.probe import Disposition, Expected, PacketProbe, Sampled
from nvi_operator.explain.packet import ECHO_REQUEST, Packet
from nvi_operator.language.model.assertions import ALL, INSIDE, OUTSIDE, UNCHANGED, Assertion, End, Traffic
from nvi_operator.language.model.services import PortRange, Service, protocol_number
from nvi_operator.language.model.values import FAMILIES, SELF, Address, Family, Network, in_any

LAW = "assertions"
_MOST = 48  # packets for one assertion
_SHOWN = 3  # of those that are not as it says


class Assertions:
    """The probes of one gateway's assertions, and what their results mean."""

    def __init__(self, assertions: Sequence[Assertion], places: Places) -> None:
        self._assertions = assertions
        self._places = places

    def probes(self) -> Iterator[PacketProbe]:
        """Whatever becomes of them is right, as far as they are alone."""
        for assertion in self._assertions:
            for packet, uplink in islice(self._packets(assertion), _MOST):
                yield PacketProbe(LAW, assertion.name, "", packet, Expected(Disposition.ANY), uplink)

    def results(self, results: Sequence[ProbeResult]) -> tuple[list[ProbeResult], Sampled | None]:
        """For each assertion the first packets that oppose it, or one that it is about."""
        found: list[ProbeResult] = []
        left_out: list[tuple[str, str]] = []
        for assertion in self._assertions:
            about = [result for result in results if self._is_about(assertion, result)]
            if not about:
                left_out.append((assertion.name, "no packet that was sent is one that it is about"))
                continue
            opposed = [(each, problem) for each in about if (problem := self._problem(assertion, each))]
            for result, problem in opposed[:_SHOWN] or [(about[0], "")]:
                probe = replace(result.probe, law=LAW, entry=assertion.name)
                found.append(replace(result, probe=probe, problems=(problem,) if problem else ()))
        total = len(self._assertions)
        return found, Sampled(LAW, total - len(left_out), total, tuple(left_out)) if total else None

    # ------------------------------------------------------------------ which packets

    def _packets(self, assertion: Assertion) -> Iterator[tuple[Packet, str | None]]:
        for family in FAMILIES:
            if family not in assertion.families:
                continue
            targets = list(self._targets(assertion, family))
            for ifname, source, uplink in self._senders(assertion, family):
                public = self._places.topology.uplink(uplink).addresses if uplink and not assertion.at else ()
                for target in dict.fromkeys((*targets, *(a for a in public if a.version == family))):
                    if target == source or not self._is_sent(assertion, source, target, uplink):
                        continue
                    for service in self._services(assertion, family):
                        dscp = next(iter(assertion.dscp or ()), 0)
                        ports = _source_ports(assertion, service)
                        packet = self._places.packet(ifname, source, target, service, source_ports=ports, dscp=dscp)
                        yield packet, uplink

    def _senders(self, assertion: Assertion, family: Family) -> Iterator[tuple[str, Address, str | None]]:
        topology = self._places.topology
        for end in assertion.from_ or (INSIDE, OUTSIDE):
            if end == INSIDE:
                for inside in topology.inside_interfaces:
                    yield from ((inside.interface.ifname, a, None) for a in self._places.clients(inside, family))
            elif end == OUTSIDE or (not isinstance(end, str) and self._host(end, family) is None):
                among = () if isinstance(end, str) else (end,)
                stranger = self._places.stranger(family, among) if end == OUTSIDE or _of(end, family) else None
                for uplink in topology.uplinks if stranger else ():
                    if family in uplink.families and stranger is not None:
                        yield uplink.interface.ifname, stranger, uplink.name
            elif not isinstance(end, str) and (host := self._host(end, family)) is not None:
                home = self._places.home(host)
                assert home is not None
                yield home.interface.ifname, host, None

    def _host(self, network: Network, family: Family) -> Address | None:
        """An inside host of a network."""
        if network.version != family:
            return None
        return next((h for h in self._places.hosts(network) if self._places.home(h) is not None), None)

    def _targets(self, assertion: Assertion, family: Family) -> Iterator[Address]:
        topology = self._places.topology
        for place in assertion.at or ():
            if isinstance(place, str):
                yield from (a for a in topology.uplink(place).addresses if a.version == family)
            elif place.version == family:
                yield from islice(self._places.hosts(place), 1)
        for end in () if assertion.at else assertion.to or (OUTSIDE,):
            if end == INSIDE:
                for inside in topology.inside_interfaces:
                    yield from self._places.clients(inside, family)
            elif end == OUTSIDE:
                stranger = self._places.stranger(family)
                yield from (stranger,) if stranger else ()
            elif not isinstance(end, str) and end.version == family:
                yield from islice(self._places.hosts(end), 1)

    def _is_sent(self, assertion: Assertion, source: Address, target: Address, name: str | None) -> bool:
        """By an uplink comes what is sent to its addresses, and from a site behind it what is sent to the inside.

        Where the assertion says to which addresses it is whatever is sent there, but for those of another uplink.
        """
        if name is None:
            return True
        topology, family = self._places.topology, target.version
        uplink = topology.uplink(name)
        if in_any(target, uplink.sources(family)):
            return True
        if assertion.at:
            return not any(in_any(target, other.sources(family)) for other in topology.uplinks)
        return in_any(source, uplink.far) and in_any(target, topology.inside_networks(family))

    def _services(self, assertion: Assertion, family: Family) -> list[Service | str | None]:
        """The services that it names, and others: `only` is about these."""
        wrong = "icmpv6" if family == 4 else "icmp"
        if assertion.ports:
            return list(assertion.ports)
        if assertion.from_ports:
            return list(dict.fromkeys(service.protocol for service in assertion.from_ports))
        if assertion.protocol:
            return [protocol for protocol in assertion.protocol if protocol != wrong]
        named = [*(assertion.only or ()), *(assertion.never if isinstance(assertion.never, tuple) else ())]
        return [*(item for item in named if item != wrong and item != "dccp"), *SERVICES]

    # ------------------------------------------------------------------ what became of them

    def _is_about(self, assertion: Assertion, result: ProbeResult) -> bool:
        packet, arrived = result.probe.packet, result.arrived
        senders: tuple[End, ...] = assertion.from_ or ("inside", "outside")
        if packet.icmp_type is not None and packet.icmp_type != ECHO_REQUEST[packet.family]:
            return False  # it opens nothing
        anywhere = bool(assertion.at or assertion.only or assertion.never or assertion.reaches)
        asked = (
            anywhere or self._is_outside(packet.destination),
            packet.family in assertion.families,
            self._is_sent(assertion, packet.source, packet.destination, result.probe.uplink),
            any(self._is_from(end, result) for end in senders),
            not assertion.in_ or packet.in_interface in assertion.in_,
            not assertion.at or any(self._is_at(place, packet.destination) for place in assertion.at),
            not assertion.protocol or packet.protocol in map(protocol_number, assertion.protocol),
            not assertion.ports or _is_traffic(packet, assertion.ports),
            not assertion.from_ports or _is_sent_from(packet, assertion.from_ports),
            not assertion.dscp or packet.dscp in assertion.dscp,
            not assertion.mark,
            not assertion.to or (arrived is not None and any(_is_to(end, arrived) for end in assertion.to)),
        )
        return all(asked) and not _is_excepted(assertion, packet, arrived)

    def _is_from(self, end: End, result: ProbeResult) -> bool:
        if end == OUTSIDE:
            return result.probe.uplink is not None
        own = result.probe.packet.in_interface is None
        if end == SELF:
            return own
        if end == INSIDE:
            return result.probe.uplink is None and not own
        return not isinstance(end, str) and in_any(result.probe.packet.source, (end,))

    def _is_at(self, place: Network | str, destination: Address) -> bool:
        if isinstance(place, str):
            return destination in self._places.topology.uplink(place).addresses
        return in_any(destination, (place,))

    def _problem(self, assertion: Assertion, result: ProbeResult) -> str:
        """What opposes it, in words; empty where nothing does."""
        arrived = result.arrived
        if arrived is None:
            must = isinstance(assertion.reaches, tuple) or self._leaves(assertion, result)
            return f"arrives nowhere: {result.way}" if must else ""
        packet, seen = arrived.packet, f"arrives at {arrived.place} as {endpoints(arrived.packet)}"
        wrong = (
            assertion.only is not None and not _is_traffic(packet, assertion.only),
            assertion.never == ALL,
            isinstance(assertion.never, tuple) and _is_traffic(packet, assertion.never),
            assertion.reaches is not None and not _reaches(assertion, packet),
            assertion.by is not None and arrived.uplink is not None and arrived.uplink not in assertion.by,
            assertion.as_ is not None and arrived.uplink is not None and not _has_source(assertion, result, packet),
        )
        return seen if any(wrong) else ""

    def _leaves(self, assertion: Assertion, result: ProbeResult) -> bool:
        """Is it one that has to leave by an uplink? Not what is redirected to the gateway, which answers it."""
        to = result.probe.packet.destination
        answered = result.refused is not None and result.refused.packet.source == to
        return bool(assertion.by or assertion.as_) and not answered and self._is_outside(to)

    def _is_outside(self, address: Address) -> bool:
        topology, family = self._places.topology, address.version
        public = (network for uplink in topology.uplinks for network in uplink.sources(family))
        own = {mine for _, mine in topology.local}
        return not in_any(address, (*topology.inside_networks(family), *public)) and address not in own


def _is_excepted(assertion: Assertion, packet: Packet, arrived: ObservedPacket | None) -> bool:
    out = assertion.except_
    if out is None:
        return False
    end = arrived.packet if arrived else packet
    return (
        in_any(packet.source, out.from_ or ())
        or in_any(end.destination, out.to or ())
        or bool(out.ports and _is_traffic(packet, out.ports))
    )


def _of(end: Network | str, family: Family) -> bool:
    return not isinstance(end, str) and end.version == family


def _is_to(end: End, arrived: ObservedPacket) -> bool:
    if end == OUTSIDE:
        return arrived.uplink is not None
    if end == INSIDE:
        return arrived.uplink is None
    return not isinstance(end, str) and in_any(arrived.packet.destination, (end,))


def _is_traffic(packet: Packet, items: Iterable[Traffic]) -> bool:
    return any(_is_of(packet, item) for item in items)


def _source_ports(assertion: Assertion, service: Service | str | None) -> list[PortRange]:
    """The source ports for the protocol of the service, where the assertion names some."""
    protocol = service.protocol if isinstance(service, Service) else service
    return [each.ports for each in assertion.from_ports or () if each.protocol == protocol]


def _is_sent_from(packet: Packet, services: Iterable[Service]) -> bool:
    port = packet.source_port or 0
    return any(packet.protocol == protocol_number(each.protocol) and port in each.ports for each in services)


def _is_of(packet: Packet, item: Traffic) -> bool:
    if isinstance(item, str):
        return packet.protocol == protocol_number(item)
    port = packet.destination_port or 0
    return packet.protocol == protocol_number(item.protocol) and port in item.ports


def _reaches(assertion: Assertion, packet: Packet) -> bool:
    if not isinstance(assertion.reaches, tuple):
        return False
    return any(
        packet.destination == server.address
        and (server.ports is None or packet.destination_port == server.ports.first)
        for server in assertion.reaches
    )


def _has_source(assertion: Assertion, result: ProbeResult, packet: Packet) -> bool:
    if assertion.as_ == UNCHANGED:
        return packet.source == result.probe.packet.source
    number = int(packet.source)
    return any(
        r.family == packet.family and int(r.first) <= number <= int(r.last)
        for r in assertion.as_ or ()
        if not isinstance(r, str)
    )
