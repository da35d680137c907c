"""Who may send or get a packet: hosts behind interfaces, and beyond uplinks. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from ipaddress import ip_network
from itertools import count, islice

from nvi_operator.experiment.surroundings import Surroundings
from nvi_operator.explain.packet import ECHO_REQUEST, ICMP_OF, WITH_PORTS, Packet
from nvi_operator.language.model.services import PortRange, Service, protocol_number
from nvi_operator.language.model.values import Address, Family, Network, no_hosts
from nvi_operator.topology.interfaces import Inside, Uplink
from nvi_operator.topology.model import Topology

FIRST_PORT, _PORTS = 20000, 40000  # of clients, each another one
_NO_SERVICE = 47808  # a port that few specs name
_CANDIDATES = 64  # hosts of a network that are looked at


class Places:
    """Draws clients: no two probes have the same source port, so that none is part of another's flow."""

    def __init__(self, topology: Topology, around: Surroundings) -> None:
        self.topology = topology
        self.around = around
        self._ports, self._alone = count(), count()
        self.inside_networks = [(i, n) for i in topology.inside_interfaces for n in i.networks]

    # ------------------------------------------------------------------ addresses

    def hosts(self, network: Network, without: Collection[Network] = ()) -> Iterator[Address]:
        """Some hosts of a network, first those that mean nothing else."""
        first, size = int(network.network_address), network.num_addresses
        near = [first + 10, *range(first + 1, first + 1 + _CANDIDATES), first + size // 2, first + size - 2, first]
        found = [type(network.network_address)(number) for number in near if first <= number < first + size]
        own = {address for _, address in self.topology.local}
        usable = [a for a in dict.fromkeys(found) if a not in own and not any(a in n for n in without)]
        usable = [a for a in usable if no_hosts(ip_network(a)) is None]
        if network.version == 4 and size > 2:
            usable = [a for a in usable if a not in (network[0], network[-1])]
        yield from sorted(usable, key=lambda a: a in self.around.taken)

    def clients(self, inside: Inside, family: Family, turn: int = 0) -> Iterator[Address]:
        """A host of each network behind an interface, and behind no narrower one; `turn`: which of them."""
        for network in inside.of_family(family):
            hosts = [host for host in self.hosts(network) if self.home(host, inside.tenant) is inside]
            if hosts:
                yield hosts[turn % len(hosts)]

    def home(self, address: Address, tenant: int | None = None) -> Inside | None:
        """The interface behind which it lives."""
        found = [
            (network.prefixlen, inside)
            for inside, network in self.inside_networks
            if address in network and tenant in (None, inside.tenant)
        ]
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def owner(self, address: Address) -> Uplink | None:
        """The uplink that a translated source leaves by, and from which packets to it come."""
        owning = (u for u in self.topology.uplinks if any(address in n for n in u.sources(address.version)))
        return next(owning, None)

    def stranger(
        self, family: Family, among: Sequence[Network] = (), without: Collection[Network] = ()
    ) -> Address | None:
        """A host beyond the uplinks; of these networks, if any."""
        return next(self.strangers(family, among, without), None)

    def owner_name(self, address: Address) -> str | None:
        owner = self.owner(address)
        return owner.name if owner else None

    def strangers(
        self, family: Family, among: Sequence[Network], without: Collection[Network] = ()
    ) -> Iterator[Address]:
        """Several strangers, first those that mean nothing to the spec."""
        far = self.around.far[family]
        for address in (*far, *(far[0] + step for step in range(1, _CANDIDATES))):
            left = not any(address in network for network in without)
            if left and (not among or any(address in network for network in among)):
                yield address
        for network in among:
            yield from (host for host in self.hosts(network, without) if self.home(host) is None)

    def addressee(self, family: Family, among: Sequence[Network], *, alone: bool) -> Address | None:
        """A stranger of these networks, or an inside host of them. `alone`: one that gets no other packet."""
        found = list(islice(self.strangers(family, among), _CANDIDATES))
        stranger = (found[-1 - next(self._alone) % len(found)] if alone else found[0]) if found else None
        hosts = (host for network in among for host in self.hosts(network) if self.home(host) is not None)
        return stranger or next(hosts, None)

    # ------------------------------------------------------------------ packets

    def packet(
        self,
        ifname: str,
        source: Address,
        destination: Address,
        service: Service | str | None,
        *,
        source_ports: Iterable[PortRange] = (),
        dscp: int = 0,
    ) -> Packet:
        """`service`: a port of a protocol, or a protocol; None: an echo request."""
        family = source.version
        port = FIRST_PORT + next(self._ports) % _PORTS
        port = next((r.first for r in source_ports), port)
        if service is None or service in ("icmp", "icmpv6"):
            request = ECHO_REQUEST[family]
            return Packet(ifname, ICMP_OF[family], source, destination, port, icmp_type=request, dscp=dscp)
        if isinstance(service, str):
            number = protocol_number(service)
            if number not in WITH_PORTS:
                return Packet(ifname, number, source, destination, dscp=dscp)
            service = Service(service, PortRange(_NO_SERVICE, _NO_SERVICE))
        number = protocol_number(service.protocol)
        return Packet(ifname, number, source, destination, port, service.ports.first, dscp=dscp)


SERVICES: tuple[Service | None, ...] = (
    Service("tcp", PortRange(443, 443)),
    Service("udp", PortRange(_NO_SERVICE, _NO_SERVICE)),
    None,
)


def spread(items: Sequence[str], most: int) -> list[str]:
    """At most `most` of them, evenly spread: the first and the last are among them."""
    if len(items) <= most:
        return list(items)
    if most < 2:
        return list(items[:most])
    return [items[number * (len(items) - 1) // (most - 1)] for number in range(most)]
