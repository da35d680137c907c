"""Entries of a resolved gateway, each of one family: source and destination NAT, 1:1 and twice NAT, routing."""

from __future__ import annotations

from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.fields import SourcePorts
from nvi_operator.language.model.packet_fields import Mark
from nvi_operator.language.model.servers import Pick
from nvi_operator.language.model.services import PortRange, Service
from nvi_operator.language.model.values import Address, AddressRange, Family, Network
from nvi_operator.topology.interfaces import Inside, identifier


@dataclass(frozen=True)
class Conditions:
    """What a packet has to match for a rule. Empty: anything."""

    family: Family
    sources: tuple[Network, ...] = ()
    destinations: tuple[Network, ...] = ()
    ifnames: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    source_services: tuple[Service, ...] = ()  # of the same protocols, where both are given
    excepted: tuple[Service, ...] = ()  # destination ports; where `services` are given these are without them
    dscps: tuple[int, ...] = ()
    mark: Mark | None = None

    @property
    def by_first_packet(self) -> bool:
        """Do they ask what only the packet that opens a flow can tell?"""
        return bool(self.dscps or self.mark)

    @property
    def is_by_networks(self) -> bool:
        """Do they ask for networks, and for nothing else? Any packet tells that, also one of no flow."""
        return self == Conditions(self.family, self.sources, self.destinations)

    @property
    def is_by_destination(self) -> bool:
        """Do they ask for the destination network, and for nothing else?"""
        return self == Conditions(self.family, destinations=self.destinations)

    @property
    def services_of_one(self) -> tuple[tuple[str | None, PortRange | None, PortRange | None], ...]:
        """Protocol, source ports and destination ports, one of each, as a FIB rule has them."""
        if self.services and self.source_services:
            pairs = ((a, b) for a in self.source_services for b in self.services if a.protocol == b.protocol)
            return tuple((b.protocol, a.ports, b.ports) for a, b in pairs)
        if self.services or self.source_services:
            return (
                *((a.protocol, a.ports, None) for a in self.source_services),
                *((b.protocol, None, b.ports) for b in self.services),
            )
        return tuple((protocol, None, None) for protocol in self.protocols) or ((None, None, None),)

    @property
    def combinations(self) -> int:
        """How many FIB rules they take."""
        return max(len(self.sources), 1) * max(len(self.destinations), 1) * len(self.services_of_one)


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
    """Translation to one address or range; the kernel chooses within it."""

    addresses: AddressRange
    ports: SourcePorts | None
    persistent: bool


@dataclass(frozen=True)
class Spread:
    """Translation to one of several, chosen by the ruleset."""

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
    """One rule of source NAT in one family."""

    name: str
    conditions: Conditions
    action: SourceAction

    @property
    def counter(self) -> str:
        return f"snat_{identifier(self.name)}"


@dataclass(frozen=True, slots=True)  # there may be 100,000
class ForwardEntry:
    """A forward of one family from one public address, to one server; goes into a map.

    In a topology they are in the order of their names. `ports` None: everything of the protocol, and without one
    everything sent to the address. `target_port` None: ports stay as they are.
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
    `protocol` is one without ports. With neither it is of everything sent to the address.
    """

    name: str
    public: Address
    service: Service | None
    clients: tuple[Network, ...]
    choices: tuple[tuple[Address, int | None, int], ...]  # server, its port or None, weight; 0: it is down
    pick: Pick
    tenant: int
    hairpin: bool
    source_services: tuple[Service, ...] = ()
    protocol: str | None = None
    dscps: tuple[int, ...] = ()
    mark: Mark | None = None

    @property
    def is_of_everything(self) -> bool:
        """Is it of whatever is sent to the address, and no more specific forward takes?"""
        return not (self.service or self.protocol)

    @property
    def conditional(self) -> bool:
        """Is it of some packets only, of those that are sent to its address and service?"""
        return bool(self.clients or self.source_services or self.dscps or self.mark)

    @property
    def counter(self) -> str:
        return f"dnat_{identifier(self.name)}"


@dataclass(frozen=True)
class Beside:
    """An interface behind which a server and its clients live, and the gateway's address there."""

    inside: Inside
    own: Address


@dataclass(frozen=True)
class RedirectRule:
    """A redirect in one family. `server` None: the gateway itself; `port` None: the one that was asked.

    Packets from `spared_sources` and to `spared` are left alone.
    """

    name: str
    conditions: Conditions
    server: Address | None
    port: int | None
    spared_sources: tuple[Network, ...]
    spared: tuple[Network, ...]
    tenant: int
    beside: tuple[Beside, ...] = ()

    @property
    def counter(self) -> str:
        return f"redirect_{identifier(self.name)}"


@dataclass(frozen=True, slots=True)
class StaticEntry:
    """1:1 NAT of one family: `real` is known as `mapped`.

    With `far` to these networks only; with `askers` only to what lives behind these interfaces. Not `outgoing`: new
    flows of `real` leave as another prefix, and hosts are reached by this one as well.
    """

    name: str
    real: Network
    mapped: Network
    tenant: int
    far: tuple[Network, ...] = ()
    askers: tuple[Inside, ...] = ()
    outgoing: bool = True
    section: str = "static"  # of the spec, or prefixNat

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
    """One route of the spec in one family."""

    name: str
    conditions: Conditions
    uplink: str


@dataclass(frozen=True)
class OwnRule:
    """A rule of the spec in one family, as far as it is about what the gateway itself sends.

    lookup: it leaves by `uplink`; leave: no rule that follows applies; refuse: nothing works that could have its
    source. The source is the uplink's, unless `translation` gives another. Those of one `layer` may stand in any
    order; one with exceptions has a layer of its own, and these have the one before.
    """

    section: Literal["routes", "sourceNat", "uplinks"]
    name: str
    conditions: Conditions
    action: Literal["lookup", "leave", "refuse"]
    uplink: str | None = None
    translation: SourceAction | None = None
    without: tuple[Conditions, ...] = ()  # packets that the rule is not about
    layer: int = 0
    last: bool = True  # is there no rule behind it, in this family?

    @property
    def counter(self) -> str:
        return f"snat_{identifier(self.name)}"


@dataclass(frozen=True)
class Honoured:
    """A foreign FIB rule whose table stage 2 looks up as well."""

    family: Family
    before_main: bool
    table: int
    iif: str | None
    source: str | None
    destination: str | None
    mark: int
    mask: int
    suppress_prefix_length: int
    ways: tuple[str, ...] = ()  # the interfaces that its table leads to
