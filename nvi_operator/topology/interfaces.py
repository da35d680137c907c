"""Interfaces of a resolved gateway: uplinks and inside interfaces, with what they have now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from ipaddress import ip_network

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import CapabilityError
from nvi_operator.language.model.values import FAMILIES, Address, Family, Network
from nvi_operator.topology.facts import Facts, WireRoute
from nvi_operator.topology.health import UNKNOWN, ProbedState
from nvi_operator.topology.notes import Note
from nvi_operator.topology.prefixes import fewest


@dataclass(frozen=True)
class Interface:
    """An interface that takes part in NAT. `ifindex` is None while the host has no such interface."""

    ifname: str
    ifindex: int | None
    mac: str | None
    up: bool
    carrier: bool
    accepts_ra: bool = True


@dataclass(frozen=True)
class Uplink:
    """A way out, with the addresses that it has now. `slot` counts from 1, in order of name."""

    name: str
    slot: int
    table: int
    interface: Interface
    next_hops: Mapping[Family, str]
    point_to_point: bool
    direct: frozenset[Family]  # families whose default route in `main` names no router
    addresses: tuple[Address, ...]
    on_link: tuple[Network, ...]  # what the interface's own addresses are in: the router, and its neighbours
    beside: tuple[tuple[Network, Address], ...]  # of its addresses, the networks they are in
    wire: tuple[WireRoute, ...]  # what `main` knows through the interface, its default routes apart
    routed: tuple[Network, ...]
    translate_to: tuple[Address, ...]
    default: bool
    weight: int
    families: frozenset[Family]
    dynamic: bool
    health: ProbedState = UNKNOWN
    announced: tuple[Address, ...] = ()  # on no interface; the gateway answers for them on the wire
    route_mtus: Mapping[Family, int] = field(
        default_factory=dict
    )  # of its default routes in `main`, where they say one
    clamped_mtus: Mapping[Family, int] = field(default_factory=dict)  # bytes, that TCP segments have to fit into
    absent: tuple[Address, ...] = ()  # of `addresses`, those that no interface has and that are not routed here
    virtual: tuple[Address, ...] = ()  # of `addresses`, those that another gateway has at times instead
    far: tuple[Network, ...] = ()  # behind it: their hosts may open flows to inside hosts, by the inside addresses

    @property
    def label(self) -> str:
        return identifier(self.name)

    def primary(self, family: Family) -> Address | None:
        """The uplink's address, that flows are translated to; None while it has none."""
        return next((a for a in (*self.translate_to, *self.addresses) if a.version == family), None)

    def on_wire(self, family: Family) -> Address | None:
        """The address that the gateway's own packets have; None while there is none."""
        return next((a for a in self.addresses if a.version == family), None)

    def is_usable(self, family: Family) -> bool:
        """May new flows be given to it, as far as the host and the uplink's probes know?"""
        return self.is_linked(family) and self.health.state != "down"

    def is_linked(self, family: Family) -> bool:
        """Has it an address, a carrier and a router? Then what is on its wire can be reached."""
        has_way = self.is_direct(family) or family in self.next_hops
        return self.primary(family) is not None and self.interface.up and self.interface.carrier and has_way

    def is_direct(self, family: Family) -> bool:
        """Is whatever it leads to on the link, with no router?"""
        return self.point_to_point or family in self.direct

    @property
    def elsewhere(self) -> tuple[Address, ...]:
        """The virtual addresses that another gateway has now."""
        return tuple(address for address in self.virtual if address in self.absent)

    def sources(self, family: Family) -> tuple[Network, ...]:
        """Every translated source that leaves by this uplink, in the fewest prefixes."""
        return self._sources[family]

    @cached_property
    def _sources(self) -> Mapping[Family, tuple[Network, ...]]:
        """Kept, because a table asks for them a hundred times while it is made, and each walk of a packet again."""
        networks = [*(ip_network(a) for a in self.addresses), *self.routed]
        return {family: fewest(networks, family) for family in FAMILIES}


@dataclass(frozen=True)
class Inside:
    """An interface that is no uplink, and what lives behind it. `tenant` is 0 where there is none."""

    interface: Interface
    networks: tuple[Network, ...]
    tenant: int
    delegated: tuple[Network, ...] = ()  # of them, what an ISP delegates: public, and translated by no rule for all
    shared: frozenset[Address] = frozenset()  # of the interface's own networks, the addresses that no host has

    def of_family(self, family: Family) -> tuple[Network, ...]:
        return fewest(self.networks, family)

    @property
    def private(self) -> tuple[Network, ...]:
        """What rules for all of the inside translate."""
        return tuple(network for network in self.networks if network not in self.delegated)


@dataclass(frozen=True)
class Tenant:
    """Networks that may use the same addresses as others'. `number` is 1-255, and its conntrack zone."""

    name: str
    number: int
    table: int

    @property
    def label(self) -> str:
        return identifier(self.name)


def find_interface(ifname: str, facts: Facts, note: Note) -> Interface:
    """The interface as it is now; notes say what it lacks. CapabilityError where `ifname` is an alternative name."""
    fact = facts.links.get(ifname)
    if fact is None:
        for link in facts.links.values():
            if ifname in link.altnames:
                raise CapabilityError(
                    f"{ifname}: an alternative name of {link.ifname}: nft and FIB rules match only the name itself",
                    hint=f"write {link.ifname} in the spec",
                )
        note(f"{ifname}: interface not found; its rules and routes are omitted until it appears")
        return Interface(ifname, None, None, up=False, carrier=False)
    if fact.master is not None:
        note(f"{ifname}: is a port of {fact.master}; packets come in by {fact.master}, so name that in the spec")
    if not fact.up:
        note(f"{ifname}: is down; its routes are omitted until it is up")
    elif not fact.carrier:
        note(f"{ifname}: has no carrier")
    return Interface(ifname, fact.ifindex, fact.mac, fact.up, fact.carrier, fact.accepts_ra)


def identifier(name: str) -> str:
    """A spec name as an nft identifier. Spec names hold no underscore, so two never meet."""
    return name.replace("-", "_")
