"""What a gateway needs to know of a host and does not own: interfaces and addresses. Read, never written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from types import MappingProxyType

from nvi_operator.dataclass import dataclass
from nvi_operator.kmod.facts import ModuleFacts
from nvi_operator.language.model.values import Family
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.blockers import Blocker
from nvi_operator.topology.health import NO_HEALTH, HealthFacts

InterfaceAddress = IPv4Interface | IPv6Interface

# A route that wide is a default one in disguise, such as a VPN's 0.0.0.0/1 and 128.0.0.0/1, or 2000::/4.
WIDE: Mapping[Family, int] = MappingProxyType({4: 7, 6: 4})

MOST_ROUTES = 500  # of one family, by way of one interface; of more only the connected ones are told


@dataclass(frozen=True)
class WireRoute:
    """What `main` knows by way of one interface: a network on its wire, or behind a router there."""

    network: IPv4Network | IPv6Network
    via: str | None = None  # None: connected
    mtu: int | None = None  # bytes, of the route; None: it says nothing


@dataclass(frozen=True)
class LinkFact:
    """One interface of the host."""

    ifname: str
    ifindex: int
    mac: str | None = None  # None: frames have no Ethernet header
    kind: str | None = None
    up: bool = True
    carrier: bool = True  # is anything on the other end, as far as the interface can tell?
    group: int = 0
    mtu: int | None = None  # bytes; None: not known
    mtu6: int | None = None  # what IPv6 uses, as of a router advertisement
    accepts_ra: bool = True  # is the kernel to learn from router advertisements? Clients that do it themselves say no
    addresses: tuple[InterfaceAddress, ...] = ()  # global ones, in the kernel's order
    narrow: tuple[InterfaceAddress, ...] = ()  # of a narrower scope, IPv6 link-local and loopback ones apart
    altnames: tuple[str, ...] = ()  # further names, under which `ip` finds it, and nft does not
    fading: frozenset[IPv4Address | IPv6Address] = frozenset()  # of them, not for new flows: deprecated, temporary
    next_hops: tuple[tuple[Family, str], ...] = ()  # default routers of the main table, the best first
    direct: frozenset[Family] = frozenset()  # families whose best default route names no router
    route_mtus: tuple[tuple[Family, int], ...] = ()  # of the best default routes, where they say one
    routes: tuple[WireRoute, ...] = ()  # the others of the main table, of an uplink's interface only
    crowded: bool = False  # too many to follow: `routes` are the connected ones
    tcx_egress: tuple[str, ...] = ()  # eBPF programs that see packets before tc filters; of virtual links only
    master: str | None = None  # the bridge, bond, team or VRF that it is a port of: packets come in by that


@dataclass(frozen=True)
class RouteTableFact:
    """A foreign routing table in one family: interfaces by name."""

    specific: bool = False  # are there routes that are no default ones?
    ways: tuple[str, ...] = ()  # of these, of the first ones
    default: tuple[str, ...] = ()
    refuses: bool = False  # is there a default route that is unreachable, prohibited or a blackhole?
    delivers: bool = False  # is there one to the host itself, as transparent proxies have?


@dataclass(frozen=True)
class ForeignRule:
    """A foreign FIB rule, and the table that it leads to."""

    rule: FibRule
    table: RouteTableFact = RouteTableFact()


@dataclass(frozen=True)
class Facts:
    """One host, as found. `assumed`: some of it was made up for an offline rendering."""

    hostname: str
    links: Mapping[str, LinkFact] = field(default_factory=lambda: MappingProxyType({}))
    netns_cookie: int = 1  # identifies the network namespace since boot (SO_NETNS_COOKIE)
    module: ModuleFacts = field(default_factory=ModuleFacts)
    refuses: frozenset[Family] = frozenset()  # families whose default route in `main` refuses
    # The interfaces by which the best default routes of `main` lead.
    default_interfaces: Mapping[Family, str] = field(default_factory=lambda: MappingProxyType({}))
    health: HealthFacts = NO_HEALTH
    # IPv6 prefixes of /16 to /64 that `main` refuses, as clients of DHCPv6 leave them for what is delegated.
    unreachable: tuple[IPv6Network, ...] = ()
    # Of uplinks' interfaces: what their leases say is delegated, where a client keeps them in files.
    leased_prefixes: Mapping[str, tuple[IPv6Network, ...]] = field(default_factory=lambda: MappingProxyType({}))
    rules: tuple[ForeignRule, ...] = ()  # of others, in the kernel's order; its own are not among them
    # Reverse-path filters (rp_filter) as they were before this gateway, where that of `all` is not 0: it, and what is
    # weaker, by interface; `default` is that of interfaces to come.
    reverse_path: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    liberal: bool = False  # was conntrack made to take TCP segments outside of its window, for a flow cache?
    programs: bool = True  # may eBPF programs be loaded here?
    assumed: bool = False
    # Only where a flow cache is asked for: what speaks against one, and conntrack's timeouts in seconds, by the names
    # that they have below net/netfilter.
    blockers: tuple[Blocker, ...] = ()
    timeouts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
