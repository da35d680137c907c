"""What a spec says of the networks around its gateway, and what is assumed where it says nothing. Pure.

Each interface of the spec is one wire. What the gateway has there: addresses, and routes of `main` as an
administrator, DHCP or router advertisements would have set them. No host is made: the far end of a wire is them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network

from nvi_operator.dataclass import dataclass
from nvi_operator.language.check.addresses import declared_networks
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.interfaces import UplinkSpec
from nvi_operator.language.model.prefixes import LENGTH_OF_NETWORK, SubPrefix
from nvi_operator.language.model.values import FAMILIES, Address, Family, Network, within
from nvi_operator.topology.facts import InterfaceAddress

# For what DHCP would have given: RFC 2544, RFC 3849, RFC 4291.
_LEASED = {4: "198.18.{}.2/24", 6: "2001:db8:ffff:{:x}::2/64"}
_LEASED_ROUTER = {4: "198.18.{}.1", 6: "fe80::1"}
_DELEGATED = "2001:db8:{:x}::/56"
_WIDEST = {4: 16, 6: 48}  # an address and its router are in no common network beyond
_NETWORK = {4: 29, 6: 64}  # of an address and its router, at least
_WITHOUT_HOSTS = {4: 31, 6: 127}  # the longest prefixes have no address left for the gateway
_FAR = {
    4: ("192.0.2.80", "198.51.100.80", "203.0.113.80", "198.19.255.80", "8.8.8.8", "9.9.9.9"),
    6: ("2001:db8:f::80", "2001:db8:fffe::80", "2620:fe::fe", "2001:4860:4860::8888"),
}


@dataclass(frozen=True)
class MainRoute:
    """`network` None: the default route. `via` None: on the link; `unreachable`: no interface at all."""

    family: Family
    network: Network | None
    via: Address | None = None
    metric: int = 0
    unreachable: bool = False


@dataclass(frozen=True)
class Wire:
    """One interface of the gateway. `routers` are the next hops there, each of which uplink."""

    ifname: str
    addresses: tuple[InterfaceAddress, ...]
    routes: tuple[MainRoute, ...]
    routers: tuple[tuple[Address, str], ...] = ()
    uplinks: tuple[str, ...] = ()

    def gateway_address(self, family: Family) -> Address | None:
        return next((a.ip for a in self.addresses if a.version == family), None)


@dataclass(frozen=True)
class Surroundings:
    """`assumed` says in words what the spec does not; `far` are hosts of the Internet, of each family."""

    wires: tuple[Wire, ...]
    far: Mapping[Family, tuple[Address, ...]]
    taken: frozenset[Address]  # addresses with a meaning: no client has one
    assumed: tuple[str, ...]

    def wire(self, ifname: str) -> Wire:
        return next(wire for wire in self.wires if wire.ifname == ifname)


@dataclass
class _Maker:
    spec: GatewaySpec
    named: frozenset[Address] = frozenset()
    networks: tuple[Network, ...] = ()
    delegated: dict[str, Network] = field(default_factory=dict)
    assumed: list[str] = field(default_factory=list)
    families: tuple[Family, ...] = FAMILIES


def surroundings(spec: GatewaySpec) -> Surroundings:
    networks = tuple(_named_networks(spec))
    maker = _Maker(spec, frozenset(_named_addresses(spec)), networks)
    used = {network.version for network in networks} | {6 for uplink in spec.uplinks.values() if uplink.delegated}
    maker.families = tuple(family for family in FAMILIES if family in used)
    for number, (name, uplink) in enumerate(sorted(spec.uplinks.items()), start=1):
        if uplink.delegated:
            maker.delegated[name] = _delegation(uplink, number)
            maker.assumed.append(f"uplink {name}: the ISP delegates {maker.delegated[name]}")
    wires = [_uplink_wire(maker, ifname) for ifname in sorted(spec.wires)]
    wires += [_inside_wire(maker, ifname) for ifname in sorted(spec.interfaces.keys() - spec.wires)]
    maker.assumed.append(
        "every interface: an Ethernet link of MTU 1500; hosts of its networks are on it, without routers"
    )
    known = (*networks, *(a.network for wire in wires for a in wire.addresses), *maker.delegated.values())
    far = {family: _far(family, known) for family in FAMILIES}
    taken = maker.named | {a.ip for wire in wires for a in wire.addresses} | {a for w in wires for a, _ in w.routers}
    return Surroundings(tuple(wires), far, taken, tuple(maker.assumed))


def _far(family: Family, used: Iterable[Network]) -> tuple[Address, ...]:
    """Addresses that mean nothing to the gateway first; wide networks that rules are about do not count."""
    narrow = [n for n in used if n.version == family and n.prefixlen > 7]
    candidates = [ip_address(text) for text in _FAR[family]]
    return tuple(sorted(candidates, key=lambda a: any(a in network for network in narrow)))


# --------------------------------------------------------------------------- what the spec names


def _named_addresses(spec: GatewaySpec) -> Iterator[Address]:
    """The addresses of single hosts that the spec names."""
    for forward in spec.forwards.values():
        yield from (target.address for target in forward.to)
    for redirect in spec.redirects.values():
        if isinstance(redirect.to, tuple):
            yield from (target.address for target in redirect.to)
    for uplink in spec.uplinks.values():
        yield from uplink.addresses if uplink.addresses != "auto" else ()
        yield from uplink.next_hop if isinstance(uplink.next_hop, tuple) else ()
    for network in _entry_networks(spec):
        if network.prefixlen == network.max_prefixlen:
            yield network.network_address


def _entry_networks(spec: GatewaySpec) -> Iterator[Network]:
    for static in spec.static.values():
        yield from (*static.address, *static.as_, *(static.to or ()))
    for prefix in spec.prefix_nat.values():
        yield prefix.address
        yield from (item for item in prefix.as_ if not isinstance(item, SubPrefix))
    for twice in spec.twice_nat.values():
        yield from (*twice.from_, *twice.as_, *twice.to, *twice.becomes)
    for rule in spec.source_nat:
        yield from (*(rule.from_ or ()), *(rule.to or ()))
    for route in spec.routes:
        yield from (*(route.from_ or ()), *(route.to or ()))


def _named_networks(spec: GatewaySpec) -> Iterator[Network]:
    for interface in spec.interfaces.values():
        yield from (*interface.networks, *(interface.known_as or ()))
    for uplink in spec.uplinks.values():
        yield from uplink.routed or ()
        yield from uplink.networks if isinstance(uplink.networks, tuple) else ()
        yield from map(ip_network, uplink.addresses if uplink.addresses != "auto" else ())
        yield from map(ip_network, uplink.next_hop if isinstance(uplink.next_hop, tuple) else ())
    yield from _entry_networks(spec)


# --------------------------------------------------------------------------- inside


def _inside_wire(maker: _Maker, ifname: str) -> Wire:
    interface = maker.spec.interfaces[ifname]
    addresses: list[InterfaceAddress] = []
    routes: list[MainRoute] = []
    for network in (*interface.networks, *_delegated_parts(maker, ifname)):
        own = list(_own_addresses(maker, network))
        addresses += own
        if not own:
            routes.append(MainRoute(network.version, network))
    if addresses:
        shown = ", ".join(map(str, addresses))
        maker.assumed.append(f"{ifname}: the gateway has {shown}")
    return Wire(ifname, tuple(addresses), tuple(routes))


def _delegated_parts(maker: _Maker, ifname: str) -> Iterator[Network]:
    for part in maker.spec.interfaces[ifname].delegated or ():
        whole = maker.delegated.get(part.from_)
        length = part.length or LENGTH_OF_NETWORK
        if whole is not None and length >= whole.prefixlen:
            yield ip_network((int(whole.network_address) + (part.subnet << 128 - length), length))


def _own_addresses(maker: _Maker, network: Network) -> Iterator[InterfaceAddress]:
    """The gateway's, in an inside network: those that the spec gives it there, or the first that nothing else has."""
    length, family = network.prefixlen, network.version
    if length >= _WITHOUT_HOSTS[family]:
        return
    own = [a for a in _pooled(maker.spec) if a in network]
    if own:
        yield from (ip_interface(f"{address}/{length}") for address in own)
        return
    narrower = [
        n for n in declared_networks(maker.spec) if n.version == family and n != network and within(n, network)
    ]
    first = int(network.network_address)
    numbers = (first + 1, first + min(network.num_addresses, 1 << 16) - 2, *range(first + 2, first + 250))
    for number in numbers:
        address = type(network.network_address)(number)
        if address in network and address not in maker.named and not any(address in n for n in narrower):
            yield ip_interface(f"{address}/{length}")
            return


def _pooled(spec: GatewaySpec) -> Iterator[Address]:
    """Addresses that rules of sourceNat give; in an inside network they are the gateway's."""
    seen = {r.first for rule in spec.source_nat for r in rule.as_.pool or () if r.size == 1}
    yield from sorted(seen, key=lambda a: (a.version, int(a)))


# --------------------------------------------------------------------------- uplinks


def _uplink_wire(maker: _Maker, ifname: str) -> Wire:
    uplinks = {name: u for name, u in sorted(maker.spec.uplinks.items()) if u.interface == ifname}
    slots = {name: slot for slot, name in enumerate(sorted(maker.spec.uplinks), start=1)}
    addresses: list[InterfaceAddress] = []
    routes: list[MainRoute] = []
    routers: list[tuple[Address, str]] = []
    for name, uplink in uplinks.items():
        hops = dict(_routers(maker, uplink, slots[name]))
        routers += [(hop, name) for hop in hops.values()]
        own = list(_uplink_addresses(maker, name, uplink, slots[name], hops))
        addresses += own
        for family, hop in hops.items():
            if not hop.is_link_local and not any(hop in address.network for address in own):
                routes.append(MainRoute(family, ip_network(hop)))
            if uplink.next_hop == "auto" or _is_default(maker.spec, name):
                routes.append(MainRoute(family, None, hop, metric=1024 + slots[name]))
        if name in maker.delegated:
            routes.append(MainRoute(6, maker.delegated[name], unreachable=True))
    if ifname in maker.spec.interfaces:
        routes += [MainRoute(n.version, n) for n in maker.spec.interfaces[ifname].networks]
    return Wire(ifname, tuple(dict.fromkeys(addresses)), tuple(routes), tuple(routers), tuple(uplinks))


def _is_default(spec: GatewaySpec, name: str) -> bool:
    """Does the gateway's own default route lead by it?"""
    if spec.default_uplink is not None:
        return spec.default_uplink.first[0] == name
    return spec.uplinks[name].default or len(spec.uplinks) == 1


def _routers(maker: _Maker, uplink: UplinkSpec, slot: int) -> Iterator[tuple[Family, Address]]:
    if isinstance(uplink.next_hop, tuple):
        yield from ((hop.version, hop) for hop in uplink.next_hop)
    elif uplink.next_hop == "auto":
        for family in _families(maker, uplink):
            written = [a for a in uplink.addresses if a != "auto" and not isinstance(a, str) and a.version == family]
            near = int(written[0]) - 1 if written else 0
            found = ip_address(_LEASED_ROUTER[family].format(slot))
            yield family, type(written[0])(near) if written and family == 4 else found


def _families(maker: _Maker, uplink: UplinkSpec) -> tuple[Family, ...]:
    """The families of an uplink whose addresses or routers are found at run time."""
    if isinstance(uplink.next_hop, tuple):
        return tuple(hop.version for hop in uplink.next_hop)
    if uplink.addresses != "auto":
        return tuple(family for family in FAMILIES if any(a.version == family for a in uplink.addresses))
    return maker.families


def _uplink_addresses(
    maker: _Maker, name: str, uplink: UplinkSpec, slot: int, hops: Mapping[Family, Address]
) -> Iterator[InterfaceAddress]:
    if uplink.addresses != "auto":
        for address in uplink.addresses:
            yield _with_network(address, hops.get(address.version), uplink)
        return
    for family in _families(maker, uplink):
        hop = hops.get(family)
        if isinstance(uplink.next_hop, tuple) and hop is not None and not hop.is_link_local:
            found = _beside(maker, hop)
        else:
            found = ip_interface(_LEASED[family].format(slot))
        router = f", router {hop}" if hop is not None else ""
        maker.assumed.append(f"uplink {name}: the lease is {found}{router}")
        yield found


def _beside(maker: _Maker, hop: Address) -> InterfaceAddress:
    """An address in the network of a router that the spec names."""
    network = ip_network(f"{hop}/{24 if hop.version == 4 else 64}", strict=False)
    numbers = (int(network.network_address) + last for last in range(2, 250))
    free = (type(hop)(number) for number in numbers if type(hop)(number) not in maker.named)
    return ip_interface(f"{next(free)}/{network.prefixlen}")


def _with_network(address: Address, hop: Address | None, uplink: UplinkSpec) -> InterfaceAddress:
    """The address in the smallest usual network that has the router as well, and what is announced on the wire."""
    family = address.version
    if hop is None or hop.is_link_local:
        return ip_interface(f"{address}/{64 if family == 6 and hop is not None else address.max_prefixlen}")
    announced = uplink.announce if isinstance(uplink.announce, tuple) else ()
    if uplink.announce is True:
        announced = tuple(n for n in uplink.routed or () if n.version == family and n.prefixlen >= _WIDEST[family])
    others = [int(a) for n in announced if n.version == family for a in (n[0], n[-1])]
    length = _NETWORK[family]
    numbers = (int(address), int(hop), *others)
    while length >= _WIDEST[family] and not _usable(numbers, length, address):
        length -= 1
    if length < _WIDEST[family]:
        length = address.max_prefixlen
    made: IPv4Interface | IPv6Interface = ip_interface(f"{address}/{length}")
    return made


def _usable(numbers: Iterable[int], length: int, address: Address) -> bool:
    """All in one network, and neither its first nor its last address."""
    network = ip_network(f"{address}/{length}", strict=False)
    first, last = int(network[0]), int(network[-1])
    return all(first < number < last for number in numbers)


def _delegation(uplink: UplinkSpec, number: int) -> Network:
    """A /56, or what the ISP's own prefix has room for."""
    if uplink.delegated == "auto" or uplink.delegated is None:
        return ip_network(_DELEGATED.format(0xD00 + number))
    length = max(56, uplink.delegated.prefixlen)
    return ip_network((int(uplink.delegated.network_address), length))
