"""The resolved gateway. `resolve.py` makes one of a spec and the facts of a host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import collapse_addresses, ip_network
from typing import Any, Literal

from nvi_operator.language.model.fields import SourcePorts
from nvi_operator.language.model.nat_entries import Pick
from nvi_operator.language.model.services import PortRange, Service
from nvi_operator.language.model.settings import Guards
from nvi_operator.language.model.values import FAMILIES, Address, AddressRange, Family, Network, within
from nvi_operator.topology.facts import WireRoute
from nvi_operator.topology.numbers import MAX_RULED_SOURCES, Priorities, device_group

ANY: Mapping[Family, str] = {4: "0.0.0.0/0", 6: "::/0"}


def fewest(networks: Iterable[Network], family: Family) -> tuple[Network, ...]:
    """The fewest prefixes of one family that cover exactly these."""
    wanted: list[Any] = [network for network in networks if network.version == family]
    return tuple(collapse_addresses(wanted))


class Prefixes:
    """Tells which networks lie within one of these prefixes. The number of prefixes does not matter for its time."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = frozenset(networks)
        self._lengths = {(network.version, network.prefixlen) for network in self._networks}

    def __iter__(self) -> Iterator[Network]:
        return iter(self._networks)

    def cover(self, network: Network) -> bool:
        return any(
            network.supernet(new_prefix=length) in self._networks
            for version, length in self._lengths
            if version == network.version and length <= network.prefixlen
        )


@dataclass(frozen=True)
class Interface:
    """An interface that takes part in NAT. `ifindex` is None while the host has no such interface."""

    ifname: str
    ifindex: int | None
    mac: str | None
    up: bool
    carrier: bool


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
        """May new flows be given to it, as far as the host knows?"""
        has_way = self.is_direct(family) or family in self.next_hops
        return self.primary(family) is not None and self.interface.up and self.interface.carrier and has_way

    def is_direct(self, family: Family) -> bool:
        """Is whatever it leads to on the link, with no router?"""
        return self.point_to_point or family in self.direct

    def sources(self, family: Family) -> tuple[Network, ...]:
        """Every translated source that leaves by this uplink, in the fewest prefixes."""
        return fewest([*(ip_network(a) for a in self.addresses), *self.routed], family)


@dataclass(frozen=True)
class Inside:
    """An interface that is no uplink, and what lives behind it. `tenant` is 0 where there is none."""

    interface: Interface
    networks: tuple[Network, ...]
    tenant: int

    def of_family(self, family: Family) -> tuple[Network, ...]:
        return fewest(self.networks, family)


@dataclass(frozen=True)
class Tenant:
    """Networks that may use the same addresses as others'. `number` is 1-255, and its conntrack zone."""

    name: str
    number: int
    table: int

    @property
    def label(self) -> str:
        return identifier(self.name)


@dataclass(frozen=True)
class Conditions:
    """What a packet has to be for a rule. Empty means: whatever."""

    family: Family
    sources: tuple[Network, ...] = ()
    destinations: tuple[Network, ...] = ()
    ifnames: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    source_services: tuple[Service, ...] = ()  # of the same protocols, where both are given


@dataclass(frozen=True)
class Choice:
    """One of several addresses, by weight: what it is chosen by, the value and its share.

    `key` outlives the address: it is the uplink's name, or of a pool the address itself.
    """

    key: str
    address: Address
    weight: int


@dataclass(frozen=True)
class Unchanged:
    """The source stays."""


@dataclass(frozen=True)
class Unavailable:
    """The uplink has no address now: such packets are dropped, and do not slip to the next rule."""


@dataclass(frozen=True)
class ToRange:
    """To one address or range; the kernel chooses within it."""

    addresses: AddressRange
    ports: SourcePorts | None
    persistent: bool


@dataclass(frozen=True)
class Spread:
    """To one of several, chosen by us."""

    choices: tuple[Choice, ...]
    pick: Pick
    ports: SourcePorts | None


@dataclass(frozen=True)
class OneToOne:
    """Each source its own address: pairs of equal size."""

    pairs: tuple[tuple[Network, Network], ...]


SourceAction = Unchanged | Unavailable | ToRange | Spread | OneToOne


@dataclass(frozen=True)
class SourceRule:
    """One line of source NAT in one family."""

    name: str
    conditions: Conditions
    action: SourceAction

    @property
    def counter(self) -> str:
        return f"snat_{identifier(self.name)}"


@dataclass(frozen=True, slots=True)  # there may be 100,000
class ForwardEntry:
    """A forward of one family from one public address, to one server; goes into a map.

    In a topology they are in the order of their names. `ports` None: everything sent to the address. `target_port`
    None: ports stay as they are.
    """

    name: str
    public: Address
    protocol: str | None
    ports: PortRange | None
    target: Address
    target_port: int | None
    tenant: int
    hairpin: bool


@dataclass(frozen=True)
class ForwardRule:
    """A forward that needs a rule of its own: balanced, or for some clients only.

    Clients send from the ports of `source_services`, of one protocol, which is that of `service` where there is one.
    """

    name: str
    public: Address
    service: Service | None
    clients: tuple[Network, ...]
    choices: tuple[tuple[Address, int | None, int], ...]  # server, its port or None, weight
    pick: Pick
    tenant: int
    hairpin: bool
    source_services: tuple[Service, ...] = ()

    @property
    def counter(self) -> str:
        return f"dnat_{identifier(self.name)}"


@dataclass(frozen=True, slots=True)
class StaticEntry:
    """1:1 NAT of one family: `real` is known as `mapped`.

    With `far` to these networks only; with `askers` only to what lives behind these interfaces.
    """

    name: str
    real: Network
    mapped: Network
    tenant: int
    far: tuple[Network, ...] = ()
    askers: tuple[Inside, ...] = ()

    @property
    def limited(self) -> bool:
        return bool(self.far or self.askers)


@dataclass(frozen=True, slots=True)
class TwiceEntry:
    """Source `real` becomes `mapped`, destination `alias` becomes `far`, through `uplink`.

    `refused` are addresses of `alias` that stand for one of the gateway's own: translated, they would lead to the
    gateway itself, which must not answer for the host that is meant. `own` are addresses of `alias` that the gateway
    has: it answers for them itself.
    """

    name: str
    real: Network
    mapped: Network
    alias: Network
    far: Network
    uplink: str
    far_opens: bool  # may flows begin on the far side?
    refused: tuple[Network, ...] = ()
    own: tuple[Network, ...] = ()


@dataclass(frozen=True)
class RouteEntry:
    """One line of stage-2 routing, in one family."""

    name: str
    conditions: Conditions
    uplink: str


@dataclass(frozen=True)
class Honoured:
    """A FIB rule of others that stage 2 asks for the networks in its table."""

    family: Family
    before_main: bool
    table: int
    iif: str | None
    source: str | None
    destination: str | None
    mark: int
    mask: int
    suppress_prefix_length: int


@dataclass(frozen=True)
class Topology:
    """Everything a kind needs to say what it wants."""

    name: str
    dataplane: Literal["kmod", "bpf"]
    device: str
    in_interface: Literal["mark", "skb_iif"]
    stage_mask: int
    local_mask: int
    hide_hop: bool
    ipsec: bool
    reverse_path: tuple[tuple[str, int], ...]  # rp_filter of interfaces that are not ours, as strict as before us
    programs: bool  # may the interfaces have programs that guard them?
    local: tuple[tuple[str, Address], ...]  # every interface's own addresses, by its name
    loop_tag: int
    link_group: int
    protocol: int  # of the gateway's own routes and FIB rules
    table: int
    priorities: Priorities
    guards: Guards
    families: tuple[Family, ...]
    inside_interfaces: tuple[Inside, ...]
    uplinks: tuple[Uplink, ...]
    displaced: tuple[Network, ...]  # addresses of interfaces in the uplinks' group that are no uplink's: renamed ones
    tenants: tuple[Tenant, ...]
    source_rules: tuple[SourceRule, ...]
    forwards: tuple[ForwardEntry, ...]
    forward_rules: tuple[ForwardRule, ...]
    ambiguous_publics: frozenset[
        Address
    ]  # public addresses that forwards name, and that an uplink has by lease as well
    suppressed_forwards: tuple[
        str, ...
    ]  # forwards that are not there, because one of the other name has their public port
    statics: tuple[StaticEntry, ...]
    twice: tuple[TwiceEntry, ...]
    routes: tuple[RouteEntry, ...]
    honoured: tuple[Honoured, ...]  # in the kernel's order
    notes: tuple[str, ...]  # what the user should know: which form was chosen, what is missing now

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """Every interface that takes part in NAT, by name."""
        interfaces = {interface.ifname: interface for interface in self._all_interfaces()}
        return tuple(interfaces[ifname] for ifname in sorted(interfaces))

    def _all_interfaces(self) -> Iterator[Interface]:
        yield from (inside.interface for inside in self.inside_interfaces)
        yield from (uplink.interface for uplink in self.uplinks)

    @property
    def uplink_ifnames(self) -> tuple[str, ...]:
        return tuple(sorted({uplink.interface.ifname for uplink in self.uplinks}))

    @property
    def device_group(self) -> int:
        """The link group of the device alone, by which it is known as ours."""
        return device_group(self.link_group)

    def may_share_addresses(self, ifname: str) -> bool:
        """Does this uplink lead to a network whose true addresses are also ours (twice NAT)?"""
        return any(self.uplink(entry.uplink).interface.ifname == ifname for entry in self.twice)

    def uplink(self, name: str) -> Uplink:
        return next(uplink for uplink in self.uplinks if uplink.name == name)

    def inside_networks(self, family: Family, *, tenant: int | None = None) -> tuple[Network, ...]:
        """What lives behind our interfaces: all of it, or of one tenant (0: of those in none)."""
        return fewest(
            (n for i in self.inside_interfaces if tenant is None or i.tenant == tenant for n in i.networks), family
        )

    def answering(self, family: Family) -> tuple[Network, ...]:
        """Inside networks whose hosts answer `far` ones: tenants' are among them where no other has the same."""
        alone = (
            network
            for inside in self.inside_interfaces
            for network in inside.of_family(family)
            if not any(
                network.overlaps(n)
                for other in self.inside_interfaces
                if other.tenant != inside.tenant
                for n in other.of_family(family)
            )
        )
        return fewest(alone, family)

    def unchanged(self, family: Family) -> tuple[Conditions, ...]:
        """Of the lines that leave sources as they are."""
        lines = [rule.conditions for rule in self.source_rules if isinstance(rule.action, Unchanged)]
        return tuple(conditions for conditions in lines if conditions.family == family)

    def far(self, family: Family, ifname: str | None = None) -> tuple[Network, ...]:
        """What is behind uplinks, or those on one interface, and may open flows to inside addresses."""
        return fewest((n for u in self.uplinks if ifname in (None, u.interface.ifname) for n in u.far), family)

    def is_part_of_inside(self, network: Network) -> bool:
        """Does it name a part of an inside network, and none of them whole?"""
        declared = [n for inside in self.inside_interfaces for n in inside.networks]
        return any(within(network, n) for n in declared) and not any(within(n, network) for n in declared)

    @property
    def by_source_map(self) -> bool:
        """Past a few dozen source prefixes an nft map beats FIB rules: 100 rules cost 15 % of the rate."""
        return sum(len(u.sources(f)) for u in self.uplinks for f in FAMILIES) > MAX_RULED_SOURCES


def identifier(name: str) -> str:
    """A spec name as an nft identifier. Spec names hold no underscore, so two never meet."""
    return name.replace("-", "_")
