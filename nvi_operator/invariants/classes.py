"""The classes of packets that checks ask about, and their walks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from ipaddress import ip_network
from typing import cast

from nvi_operator.explain.packet import ECHO_REQUEST, Packet, address
from nvi_operator.explain.region import Region
from nvi_operator.explain.space import Bundle, Space, Term
from nvi_operator.explain.spans import ADDRESSES, Spans
from nvi_operator.explain.step import Subject
from nvi_operator.explain.walk import Walk, walks
from nvi_operator.invariants.gateway import ResolvedGateway
from nvi_operator.invariants.published import Asking, Row, Server, published
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.values import FAMILIES, Address, Family
from nvi_operator.plan.origins import Origins
from nvi_operator.topology.interfaces import Inside, Uplink

# The addresses of hosts (RFC 6890): without those of links and groups. Of IPv6 what is assigned (RFC 4291, RFC 4193).
_NO_HOSTS: tuple[str, ...] = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")
_HOSTS_6 = ("2000::/3", "fc00::/7", "64:ff9b::/96")
_DECIDING = frozenset({"forwards", "redirects", "static", "prefixNat", "twiceNat", "sourceNat", "routes"})
_PORTS = Spans(((1, 65535),))
_OTHER_ICMP = {4: 58, 6: 1}  # of the other family
SOURCE = Term("source")
Way = tuple[Walk, Space]  # a walk, and those of its packets that were asked about


class Classes:
    """Which packets there are on a gateway, and what becomes of them."""

    def __init__(self, gateway: ResolvedGateway) -> None:
        self.spec = gateway.spec
        self.topology = gateway.topology
        self.machine = gateway.make_machine()
        self._clients: dict[tuple[str, Family], Spans] = {}
        self._behind: dict[tuple[str, Family], Spans] = {}
        self._shared: dict[tuple[object, ...], tuple[Walk, ...]] = {}

    # ------------------------------------------------------------------ addresses

    def hosts(self, family: Family) -> Spans:
        """Every address that a host may have."""
        return self._hosts[family]

    @cached_property
    def _hosts(self) -> dict[Family, Spans]:
        found: dict[Family, Spans] = {
            4: ADDRESSES[4] - Spans.networks(map(ip_network, _NO_HOSTS)),
            6: Spans.networks(map(ip_network, _HOSTS_6)),
        }
        wires = {a.network for i in self.machine.interfaces.values() for a in i.addresses}
        # Broadcasts, and what routers of a subnet answer to (RFC 4291, section 2.6.1).
        shared = [n[-1] if n.version == 4 else n[0] for n in wires if n.max_prefixlen - n.prefixlen > 1]
        for family in FAMILIES:
            found[family] = found[family] - Spans.addresses(a for a in shared if a.version == family)
        return found

    def own(self, family: Family) -> Spans:
        """The gateway's own addresses, those of its interfaces that were made up as well."""
        return self._own[family]

    @cached_property
    def _own(self) -> dict[Family, Spans]:
        found = [a.ip for i in self.machine.interfaces.values() for a in i.addresses]
        return {family: Spans.addresses(a for a in found if a.version == family) for family in FAMILIES}

    def inside(self, family: Family) -> Spans:
        """What lives behind inside interfaces."""
        return self._inside[family]

    @cached_property
    def _inside(self) -> dict[Family, Spans]:
        return {family: Spans.networks(self.topology.inside_networks(family)) for family in FAMILIES}

    def inside_by(self, ifname: str, family: Family) -> Spans:
        """What lives behind one of them; nothing where it is none."""
        mine = (inside for inside in self.topology.inside_interfaces if inside.interface.ifname == ifname)
        return Spans.networks(network for inside in mine for network in inside.of_family(family))

    def public(self, family: Family) -> Spans:
        """The uplinks' addresses, and what is routed to the gateway."""
        return self._public[family]

    @cached_property
    def _public(self) -> dict[Family, Spans]:
        uplinks = self.topology.uplinks
        return {f: Spans.networks(n for uplink in uplinks for n in uplink.sources(f)) for f in FAMILIES}

    def outside(self, family: Family) -> Spans:
        """Everyone else."""
        return self._outside[family]

    @cached_property
    def _outside(self) -> dict[Family, Spans]:
        return {f: self.hosts(f) - self.inside(f) - self.public(f) - self.own(f) for f in FAMILIES}

    def clients(self, uplink: Uplink, family: Family) -> Spans:
        """Who sends by an uplink: everyone outside but those who are known to be near another one only."""
        key = uplink.name, family
        if key not in self._clients:
            others = (part for each in self.topology.uplinks if each is not uplink for part in near(each, family))
            self._clients[key] = self.outside(family) - (Spans.of(others) - near(uplink, family))
        return self._clients[key]

    def behind(self, inside: Inside, family: Family) -> Spans:
        """The hosts behind an interface: the gateway's own addresses are none of them."""
        key = inside.interface.ifname, family
        if key not in self._behind:
            networks = Spans.networks(inside.of_family(family))
            self._behind[key] = self.hosts(family) & networks - self.own(family)
        return self._behind[key]

    @cached_property
    def servers(self) -> Mapping[Address, tuple[Server, ...]]:
        """The servers of all forwards of an address."""
        found: defaultdict[Address, dict[Server, None]] = defaultdict(dict)
        for rows in self.published.values():
            for row in rows:
                found[row.public].update(dict.fromkeys(row.servers))
        return {public: tuple(servers) for public, servers in found.items()}

    @cached_property
    def published(self) -> Mapping[Asking, Sequence[Row]]:
        return published(self.topology)

    # ------------------------------------------------------------------ packets

    def is_uplink(self, ifname: str) -> bool:
        return ifname in self.topology.uplink_ifnames

    def causes(self, walk: Walk) -> tuple[Path, ...]:
        """The entries of the spec that lead its example where it goes, in the order in which they do."""
        found: dict[Path, None] = {}
        for step in walk.steps:
            path = None if step.subject is None else self._origins.path(cast(Subject, step.subject))
            if path and path[1] in _DECIDING:
                found[path] = None
        return tuple(found)

    @cached_property
    def _origins(self) -> Origins:
        return Origins(self.topology, self.spec, self.machine.state)

    @cached_property
    def leaving(self) -> tuple[Walk, ...]:
        """What inside hosts send to the outside: all of it."""
        return tuple(
            walk
            for family in self.topology.families
            for inside in self.topology.inside_interfaces
            for walk in self.walks(
                region(
                    family,
                    [inside.interface.ifname],
                    sources=self.behind(inside, family),
                    destinations=self.outside(family),
                )
            )
        )

    @cached_property
    def coming(self) -> tuple[Walk, ...]:
        """What the outside sends to the public addresses: all of it."""
        return tuple(
            walk
            for family in self.topology.families
            for uplink in self.topology.uplinks
            for walk in self.walks(
                region(
                    family,
                    [uplink.interface.ifname],
                    sources=self.clients(uplink, family),
                    destinations=self.public(family),
                )
            )
        )

    def walks(self, packets: Region) -> tuple[Walk, ...]:
        return walks(self.machine, packets)

    # ------------------------------------------------------------------ many questions

    def ways(self, packets: Region) -> Sequence[Way]:
        """What `walks` returns, for many questions about one interface: cut out of walks of all that comes in there.

        Not those whose source the gateway chooses, and which it chooses by where they are sent.
        """
        (ifname,) = packets.in_interfaces
        if ifname is not None:
            found = list(self._cut(ifname, packets))
            # Of one client it is known what a hash chooses.
            if not packets.space.is_point(SOURCE) or not any(walk.is_hashed for walk, _ in found):
                return found
        return [(walk, walk.space) for walk in self.walks(packets)]

    def _cut(self, ifname: str, packets: Region) -> Iterator[Way]:
        asked = packets.values("destination")
        for number, place in enumerate(self._places[packets.family]):
            if not asked & place:
                continue
            for walk in self._of_place(ifname, packets.family, number, packets.like.dscp, packets.like.mark):
                space: Space | None = walk.space
                for name, values in packets.space.domains.items():
                    if space is not None:
                        space, _ = space.split(Term(name), values)
                if space is not None and (not space.without or space.point() is not None):
                    yield walk, space

    def _of_place(self, ifname: str, family: Family, place: int, dscp: int, mark: int) -> tuple[Walk, ...]:
        key = ifname, family, place, dscp, mark
        if key not in self._shared:
            topology = self.topology
            inside = (self.behind(i, family) for i in topology.inside_interfaces if i.interface.ifname == ifname)
            uplinks = (self.clients(u, family) for u in topology.uplinks if u.interface.ifname == ifname)
            sources = Spans.of(part for senders in (*inside, *uplinks) for part in senders)
            whole = region(
                family,
                [ifname],
                sources=sources,
                destinations=self._places[family][place],
                dscp=dscp,
                mark=mark,
            )
            self._shared[key] = self.walks(whole)
        return self._shared[key]

    @cached_property
    def _places(self) -> dict[Family, tuple[Spans, ...]]:
        """All hosts, in parts: who asks about one of them needs no walks to the others."""
        places = (self.outside, self.public, self.inside, self.hosts)
        return {f: tuple(_disjoint(place(f) & self.hosts(f) for place in places)) for f in FAMILIES}


def _disjoint(places: Iterable[Spans]) -> Iterator[Spans]:
    before = Spans()
    for place in places:
        yield place - before
        before |= place


def near(uplink: Uplink, family: Family) -> Spans:
    """What is on an uplink's wire, and the sites behind it."""
    networks = (*uplink.far, *uplink.on_link, *(route.network for route in uplink.wire))
    return Spans.networks(n for n in networks if n.version == family and n.prefixlen)


def region(
    family: Family,
    in_interfaces: Iterable[str | None],
    *,
    sources: Spans,
    destinations: Spans | None = None,
    protocols: Spans | None = None,
    source_ports: Spans = _PORTS,
    destination_ports: Spans = _PORTS,
    rows: Bundle | None = None,
    dscp: int = 0,
    mark: int = 0,
) -> Region:
    """Packets that open a flow. `rows` may have some of the fields, tied together; these are then left out."""
    domains = {
        "protocol": every_protocol(family) if protocols is None else protocols,
        "source": sources,
        "destination": ADDRESSES[family] if destinations is None else destinations,
        "source_port": source_ports,
        "destination_port": destination_ports,
        "icmp_type": Spans.one(ECHO_REQUEST[family]),
    }
    none = address(family, 0)
    space = Space(domains)
    if rows is not None:
        space = space.with_bundle(rows)
    return Region(family, frozenset(in_interfaces), space, Packet(None, 0, none, none, dscp=dscp, mark=mark))


def every_protocol(family: Family) -> Spans:
    """But for what opens no flow by itself: the other family's ICMP, and the header of hop-by-hop options."""
    return Spans(((1, 255),)) - Spans.one(_OTHER_ICMP[family])
