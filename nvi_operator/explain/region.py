"""Many packets at once: for each field a set of values. A region of one packet is walked as any other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from nvi_operator.dataclass import dataclass, replace
from nvi_operator.explain.packet import ECHO_REQUEST, ICMP_OF, TCP, UDP, WITH_IDENTIFIER, WITH_PORTS, Packet, address
from nvi_operator.explain.space import Point, Space, Term
from nvi_operator.explain.spans import ADDRESSES, PORTS, Spans
from nvi_operator.language.model.values import Address, Family, Network

# The variables of a packet as it comes in; conntrack has the same six.
FIELDS = ("protocol", "source", "destination", "source_port", "destination_port", "icmp_type")

# What an example is likely to be: a host on the Internet (RFC 5737, RFC 3849), a web server, a client's port.
_HOSTS: Mapping[Family, int] = {4: int(ip_address("192.0.2.80")), 6: int(ip_address("2001:db8:ffff::80"))}


@dataclass(frozen=True, eq=False)
class Region:
    """Packets that come in by one of `in_interfaces` (None among them: that the gateway itself sends).

    `like` has what all of them have in common and no test splits: TCP flags, DSCP, mark, TTL, length, ICMP code. Its
    addresses and ports mean nothing.
    """

    family: Family
    in_interfaces: frozenset[str | None]
    space: Space
    like: Packet

    @classmethod
    def of(
        cls,
        family: Family,
        in_interfaces: Iterable[str | None],
        *,
        sources: Iterable[Network] | None = None,
        destinations: Iterable[Network] | None = None,
        protocols: Iterable[int] = (TCP, UDP),
        source_ports: Iterable[tuple[int, int]] = ((1, 65535),),
        destination_ports: Iterable[tuple[int, int]] = ((1, 65535),),
        **common: object,
    ) -> Region:
        """All packets that open a flow with these fields; `common` are further fields of `like`.

        None: every address. Networks of the other family are passed over.
        """

        def spans(networks: Iterable[Network] | None) -> Spans:
            if networks is None:
                return ADDRESSES[family]
            return Spans.networks(n for n in networks if n.version == family)

        domains = {
            "protocol": Spans.of((p, p) for p in protocols),
            "source": spans(sources),
            "destination": spans(destinations),
            "source_port": Spans.of(source_ports),
            "destination_port": Spans.of(destination_ports),
            "icmp_type": Spans.one(ECHO_REQUEST[family]),
        }
        none = address(family, 0)
        like: Packet = Packet(None, 0, none, none, **common)  # type: ignore[arg-type]
        return cls(family, frozenset(in_interfaces), Space(domains), like)

    @classmethod
    def of_packet(cls, packet: Packet) -> Region:
        """The region of this packet alone."""
        domains = {name: Spans.one(value) for name, value in values_of(packet).items()}
        return cls(packet.family, frozenset({packet.in_interface}), Space(domains), packet)

    def example(self) -> Packet | None:
        """One packet of the region, a likely one where it may be chosen; None: the region is empty."""
        point = self.point()
        return None if point is None or not self.in_interfaces else self.packet_at(point)

    def point(self) -> Point | None:
        return self.space.point(
            {
                "protocol": (TCP, UDP),
                "destination": (_HOSTS[self.family],),
                "source_port": (40000,),
                "destination_port": (443,),
            }
        )

    def packet_at(self, point: Point) -> Packet:
        terms = {name: Term(name) for name in FIELDS}
        in_interface = min(self.in_interfaces, key=lambda name: name or "")
        return replace(packet_of(self.family, terms, point, self.like), in_interface=in_interface)

    def values(self, field: str) -> Spans:
        """Every value of one of FIELDS in the region."""
        return self.space.values(Term(field))

    def contains(self, packet: Packet) -> bool:
        if packet.family != self.family or packet.in_interface not in self.in_interfaces:
            return False
        given = values_of(packet)
        if packet.source_port is None:
            del given["source_port"]
        if packet.destination_port is None:
            del given["destination_port"]
        if packet.icmp_type is None:
            del given["icmp_type"]
        return self.space.contains(given)


def values_of(packet: Packet) -> dict[str, int]:
    """The variables of a packet; 0 where it has no such field."""
    return {
        "protocol": packet.protocol,
        "source": int(packet.source),
        "destination": int(packet.destination),
        "source_port": packet.source_port or 0,
        "destination_port": packet.destination_port or 0,
        "icmp_type": ECHO_REQUEST[packet.family] if packet.icmp_type is None else packet.icmp_type,
    }


def packet_of(family: Family, terms: Mapping[str, Term], point: Point, like: Packet) -> Packet:
    """The packet that the terms are at one point; everything else as `like` has it."""
    value = {name: term.at(point) for name, term in terms.items()}
    protocol = value["protocol"]
    is_icmp = protocol == ICMP_OF[family]
    has_id = is_icmp and value["icmp_type"] in WITH_IDENTIFIER[family]
    ports = protocol in WITH_PORTS
    source: Address = address(family, value["source"])
    return replace(
        like,
        protocol=protocol,
        source=source,
        destination=address(family, value["destination"]),
        source_port=value["source_port"] if ports or has_id else None,
        destination_port=value["destination_port"] if ports else None,
        icmp_type=value["icmp_type"] if is_icmp else None,
    )


__all__ = ["ADDRESSES", "FIELDS", "PORTS", "Region", "packet_of", "values_of"]
