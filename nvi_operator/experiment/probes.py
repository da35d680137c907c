"""The packets that try a gateway: a few for each entry of its spec, of many entries so many. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from nvi_operator.dataclass import dataclass
from nvi_operator.experiment.forward_probes import ForwardProbes
from nvi_operator.experiment.own_probes import own_probes
from nvi_operator.experiment.places import SERVICES, Places, spread
from nvi_operator.experiment.probe import Disposition, Expected, PacketProbe, Sampled, is_in, ranges, why_none
from nvi_operator.experiment.translation import counterpart, leaving, served
from nvi_operator.explain.packet import ECHO_REPLY, Packet
from nvi_operator.language.model.services import PortRange, Service
from nvi_operator.language.model.values import Address, Network
from nvi_operator.topology.interfaces import Inside
from nvi_operator.topology.rules import RedirectRule, SourceRule, StaticEntry, TwiceEntry

T = TypeVar("T", SourceRule, StaticEntry, TwiceEntry, RedirectRule)


@dataclass(frozen=True)
class ProbeSet:
    """All that is sent, and of what it is a part."""

    probes: tuple[PacketProbe, ...]
    sampled: tuple[Sampled, ...]


def make_probes(places: Places, most: int) -> ProbeSet:
    """`most`: entries of each section that are tried."""
    return _Maker(places, most).trial()


class _Maker:
    def __init__(self, places: Places, most: int) -> None:
        self.places = places
        self.topology = places.topology
        self.most = most
        self.sampled: list[Sampled] = []
        self._left_out: dict[str, str] = {}

    def trial(self) -> ProbeSet:
        probes = [*self._networks(), *own_probes(self.places)]
        probes += self._of("source NAT", self.topology.source_rules, self._source_rule)
        forwards = ForwardProbes(self.places, self.most)
        probes += forwards.probes()
        self.sampled += forwards.sampled
        probes += self._of("redirects", self.topology.redirects, self._redirect)
        probes += self._of("1:1 NAT", self.topology.statics, self._static)
        probes += self._of("twice NAT", self.topology.twice, self._twice)
        return ProbeSet(tuple(probes), tuple(self.sampled))

    def _of(self, law, entries: Sequence[T], make) -> Iterator[PacketProbe]:  # type: ignore[no-untyped-def]
        """Of some entries of a section, by name; what cannot be tried is left out and told."""
        names = list(dict.fromkeys(entry.name for entry in entries))
        chosen = set(spread(names, self.most))
        self._left_out = {}
        found = [probe for entry in entries if entry.name in chosen for probe in make(entry)]
        if names:
            self.sampled.append(Sampled.of(law, names, chosen, found, self._left_out))
        yield from found

    # ------------------------------------------------------------------ inside networks

    def _networks(self) -> Iterator[PacketProbe]:
        """Whatever an inside host sends to a stranger leaves translated, or not at all."""
        for inside in self.topology.inside_interfaces:
            for network in inside.networks:
                far = self.places.stranger(network.version)
                host = next(
                    (h for h in self.places.hosts(network) if self.places.home(h, inside.tenant) is inside), None
                )
                if far is None or host is None:
                    continue
                for service in SERVICES:
                    packet = self.places.packet(inside.interface.ifname, host, far, service)
                    expected = leaving(self.places, inside, packet).expected
                    what = f"{host} to the Internet"
                    yield PacketProbe(
                        "inside networks", f"{inside.interface.ifname} {network}", what, packet, expected
                    )
                if expected.disposition is Disposition.ARRIVES:
                    yield self._too_big(inside, network, host, far)
                if not is_in(host, expected.sources):  # where sources stay as they are, strays may leave as well
                    yield self._stray(inside, network, host, far)

    def _too_big(self, inside: Inside, network: Network, host: Address, far: Address) -> PacketProbe:
        """Otherwise a connection through a narrow link hangs as soon as it sends much."""
        packet = self.places.packet(inside.interface.ifname, host, far, SERVICES[0])
        expected = replace(leaving(self.places, inside, packet).expected, disposition=Disposition.TOO_BIG)
        what = f"{host} to the Internet, and a router's `packet too big`"
        return PacketProbe("inside networks", f"{inside.interface.ifname} {network}", what, packet, expected)

    def _stray(self, inside: Inside, network: Network, host: Address, far: Address) -> PacketProbe:
        """What belongs to no flow is not translated, and so must not leave."""
        packet = self.places.packet(inside.interface.ifname, host, far, None)
        packet = replace(packet, icmp_type=ECHO_REPLY[host.version])
        what = f"{host} to the Internet, of no connection"
        return PacketProbe(
            "inside networks", f"{inside.interface.ifname} {network}", what, packet, Expected(Disposition.DROPPED)
        )

    # ------------------------------------------------------------------ source NAT

    def _source_rule(self, rule: SourceRule) -> Iterator[PacketProbe]:
        conditions = rule.conditions
        protocol = next((service.protocol for service in conditions.services), None)
        if why := why_none(protocol, marked=conditions.mark is not None):
            self._left_out[rule.name] = why
            return
        for inside in self.topology.inside_interfaces:
            if conditions.ifnames and inside.interface.ifname not in conditions.ifnames:
                continue
            packet = next(self._packets_for(rule, inside), None)
            if packet is not None:
                found = leaving(self.places, inside, packet)
                if found.entry == rule.name:
                    what = f"{packet.source} to {packet.destination}"
                    yield PacketProbe("source NAT", rule.name, what, packet, found.expected)
                    return
                self._left_out[rule.name] = f"{found.law} {found.entry} comes first"
        self._left_out.setdefault(rule.name, "no packet that could be sent is its")

    def _packets_for(self, rule: SourceRule, inside: Inside) -> Iterator[Packet]:
        """From behind this interface; the first that only this rule translates, or else one that another takes."""
        conditions = rule.conditions
        family = conditions.family
        others = [
            n
            for other in self.topology.source_rules
            if other is not rule
            for n in other.conditions.sources
            if n.version == family and n.prefixlen > 7 and n not in inside.networks
        ]
        narrow = [n for n in others if n not in conditions.sources]
        found: list[Packet] = []
        for network in conditions.sources or inside.of_family(family):
            hosts = [*self.places.hosts(network, narrow), *self.places.hosts(network)]
            for host in hosts[:80]:
                if self.places.home(host, inside.tenant) is not inside:
                    continue
                service = self._service(rule)
                destination = self.places.addressee(family, conditions.destinations, alone=isinstance(service, str))
                if destination is None:
                    continue
                packet = self.places.packet(
                    inside.interface.ifname,
                    host,
                    destination,
                    service,
                    source_ports=[s.ports for s in conditions.source_services],
                    dscp=next(iter(conditions.dscps), 0),
                )
                if leaving(self.places, inside, packet).entry == rule.name:
                    yield packet
                    return
                found.append(packet)
        yield from found[:1]

    def _service(self, rule: SourceRule) -> Service | str | None:
        conditions = rule.conditions
        if conditions.services:
            return conditions.services[0]
        if conditions.source_services:
            return conditions.source_services[0].protocol
        return conditions.protocols[0] if conditions.protocols else Service("tcp", PortRange(8443, 8443))

    # ------------------------------------------------------------------ redirects

    def _redirect(self, rule: RedirectRule) -> Iterator[PacketProbe]:
        conditions = rule.conditions
        far = self.places.stranger(conditions.family, (), rule.spared)
        for inside in self.topology.inside_interfaces:
            if conditions.ifnames and inside.interface.ifname not in conditions.ifnames:
                continue
            hosts = (
                host
                for network in conditions.sources
                for host in self.places.hosts(network, rule.spared_sources)
                if self.places.home(host, inside.tenant) is inside
            )
            host = next(hosts, None)
            if host is None or far is None:
                continue
            for service in conditions.services:
                packet = self.places.packet(inside.interface.ifname, host, far, service)
                what = f"{host} asks {far} port {service}"
                yield PacketProbe("redirects", rule.name, what, packet, served(self.places, rule, packet))

    # ------------------------------------------------------------------ 1:1 and twice NAT

    def _static(self, static: StaticEntry) -> Iterator[PacketProbe]:
        home, host = self._host_of(static)
        if home is None or host is None:
            self._left_out[static.name] = f"{static.real} is in no inside network"
            return
        mapped = counterpart(host, static.real, static.mapped)
        ifname = home.interface.ifname
        far = self.places.stranger(host.version, static.far)
        owner = self.places.owner(mapped)
        port = Service("tcp", PortRange(47808, 47808))
        if far is not None and static.outgoing and not static.askers:
            packet = self.places.packet(ifname, host, far, port)
            found = leaving(self.places, home, packet)
            if (found.law, found.entry) == ("1:1 NAT", static.name):
                yield PacketProbe("1:1 NAT", static.name, f"{host} to the Internet", packet, found.expected)
        expected = Expected(ifnames=frozenset({ifname}), destinations=ranges([host]))
        if far is not None and owner is not None and not static.askers:
            packet = self.places.packet(owner.interface.ifname, far, mapped, port)
            yield PacketProbe("1:1 NAT", static.name, f"the Internet to {mapped}", packet, expected, owner.name)
        for asker in static.askers or (self.topology.inside_interfaces if owner is None and not static.far else ()):
            client = next(self.places.clients(asker, host.version), None)
            if client is not None and asker is not home:
                packet = self.places.packet(asker.interface.ifname, client, mapped, port)
                yield PacketProbe("1:1 NAT", static.name, f"{client} to {mapped}", packet, expected)

    def _host_of(self, static: StaticEntry) -> tuple[Inside | None, Address | None]:
        for host in self.places.hosts(static.real):
            home = self.places.home(host, static.tenant or None)
            if home is not None:
                return home, host
        return None, None

    def _twice(self, twice: TwiceEntry) -> Iterator[PacketProbe]:
        uplink = self.topology.uplink(twice.uplink)
        host = next((h for h in self.places.hosts(twice.real) if self.places.home(h) is not None), None)
        alias = next(self.places.hosts(twice.alias, [*twice.refused, *twice.own]), None)
        home = self.places.home(host) if host is not None else None
        if host is None or alias is None or home is None:
            self._left_out[twice.name] = f"{twice.real} is in no inside network"
            return
        port = Service("tcp", PortRange(47808, 47808))
        packet = self.places.packet(home.interface.ifname, host, alias, port)
        expected = leaving(self.places, home, packet).expected
        yield PacketProbe("twice NAT", twice.name, f"{host} to {alias}", packet, expected)
        if twice.far_opens:
            far = counterpart(alias, twice.alias, twice.far)
            mapped = counterpart(host, twice.real, twice.mapped)
            packet = self.places.packet(uplink.interface.ifname, far, mapped, port)
            expected = Expected(
                ifnames=frozenset({home.interface.ifname}), sources=ranges([alias]), destinations=ranges([host])
            )
            yield PacketProbe("twice NAT", twice.name, f"{far} to {mapped}", packet, expected, twice.uplink)
