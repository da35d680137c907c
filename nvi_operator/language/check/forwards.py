"""The rules for destination NAT: every public (address, protocol, port) leads to one place.

An uplink's name stands for its address of each family; where that is a lease (`addresses: auto`), for itself.
Forwards of ports, and of protocols without ports, go before a forward of the whole address, so that they may stand
side by side. Two forwards of one port may stand where no client is meant by both; a forward without `from` means
every client, and one without `fromPorts` every port that clients send from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

from nvi_operator.language.check.addresses import (
    AddressSpan,
    Homes,
    InsideNetworks,
    Problem,
    declared_networks,
    explicit,
    families_of,
    overlapping,
    own_addresses,
    span_of,
)
from nvi_operator.language.check.port_claims import WHOLE, Claims, claim, in_order, may_overlap, owner_of, ports_of
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.interfaces import UplinkSpec
from nvi_operator.language.model.nat_entries import Forward, Static
from nvi_operator.language.model.one_to_one import pieces
from nvi_operator.language.model.services import FAMILY_OF_PROTOCOL
from nvi_operator.language.model.values import FAMILIES, Network, parse_address, within

MOST_SERVERS = 400  # with probes: each takes a socket, of 1,024 that a process may have
MAX_SHIFTED = 4096  # ports of one shifted range: each becomes an entry of its own

# (family, public address or name of an uplink with dynamic ones)
_Public = tuple[int, str]


class _Published(NamedTuple):
    """What `at` means for servers of some families; most forwards share theirs with others."""

    publics: tuple[_Public, ...]
    problems: tuple[Problem, ...]  # with paths that begin at the forward


def check_forwards(spec: GatewaySpec, claims: Claims) -> Iterator[Problem]:
    """Adds what the forwards claim to `claims`, which are empty before."""
    if not spec.forwards:
        return
    homes, inside_networks = Homes(spec), InsideNetworks(spec)
    first_addresses = _first_addresses(spec)
    published: dict[tuple[tuple[str, ...] | None, frozenset[int]], _Published] = {}
    spans = claims.spans
    probed = 0
    for order, (name, forward) in enumerate(spec.forwards.items()):
        at: Path = ("spec", "forwards", name)
        servers = _FAMILIES[forward.to[0].address.version] if len(forward.to) == 1 else _families_of(forward)
        means = published.get((forward.at, servers))
        if means is None:
            means = published[forward.at, servers] = _published(spec, homes, forward, servers, first_addresses)
        for family, public in means.publics:
            if forward.is_of_everything:
                spans[family, public, WHOLE].append(claim(0, 0, order))
            for protocol in forward.protocol or ():
                if FAMILY_OF_PROTOCOL.get(protocol, family) == family:
                    spans[family, public, protocol].append(claim(0, 0, order))
            for service in forward.ports or ():
                ports = service.ports
                spans[family, public, service.protocol].append(claim(ports.first, ports.last, order))
        for path, message, hint in means.problems:
            yield (*at, *path), message, hint + ("" if any(f == 6 for f, _ in means.publics) else _brackets(forward))
        if forward.from_ and not servers & {network.version for network in forward.from_}:
            shown = f"from is IPv{forward.from_[0].version} and the servers are IPv{min(servers)}"
            yield (*at, "from"), f"IPv4 mixed with IPv6: {shown}", "name clients of the servers' family"
        if inside_networks.tenants or any((t.address.version, int(t.address)) in homes.own for t in forward.to):
            yield from _servers(homes, inside_networks, at, forward)
        if forward.health:
            yield from _probed(at, forward, probed)
            probed += len(forward.to)
        if any(service.ports.last - service.ports.first >= MAX_SHIFTED for service in forward.ports or ()):
            yield from _shifted(at, forward)
    yield from _conflicts(spec, claims)
    yield from _statics(spec, claims)


_FAMILIES = {family: frozenset([family]) for family in FAMILIES}


def _families_of(forward: Forward) -> frozenset[int]:
    return frozenset(target.address.version for target in forward.to)


def _span(packed: int, names: Sequence[str]) -> AddressSpan[str]:
    """What is claimed, and by whom."""
    order = owner_of(packed)
    return AddressSpan(0, *ports_of(packed), order, names[order])


def _first_addresses(spec: GatewaySpec) -> dict[str, list[_Public]]:
    """What each uplink's name stands for."""
    return {
        name: [(family, _address_of(name, uplink, family)) for family in FAMILIES if family in families_of(uplink)]
        for name, uplink in spec.uplinks.items()
    }


def _address_of(name: str, uplink: UplinkSpec, family: int) -> str:
    """The uplink's name where its address is a lease."""
    written = (*(uplink.translate_to or ()), *explicit(uplink))
    return next((str(address) for address in written if address.version == family), name)


def _published(
    spec: GatewaySpec,
    homes: Homes,
    forward: Forward,
    servers: frozenset[int],
    first_addresses: Mapping[str, list[_Public]],
) -> _Published:
    publics: list[_Public] = []
    for item in forward.at or tuple(spec.uplinks):
        if item in first_addresses:
            publics += (public for public in first_addresses[item] if public[0] in servers)
        elif _is_address(item):
            family = 6 if ":" in item else 4
            if family in servers:
                publics.append((family, item))
    problems = (*_addresses(spec, homes, forward, servers), *_families(spec, forward, servers, publics))
    return _Published(tuple(publics), problems)


def _is_address(item: str) -> bool:
    return "." in item or ":" in item


def _addresses(spec: GatewaySpec, homes: Homes, forward: Forward, servers: frozenset[int]) -> Iterator[Problem]:
    if not forward.at and not spec.uplinks:
        yield (), "there is no uplink to publish it on", "add an uplink"
    for item in forward.at or ():
        if _is_address(item):
            address = parse_address(item)
            if address.version not in servers:
                message = f"{item} is IPv{address.version}, and no server is"
                yield ("at",), f"IPv4 mixed with IPv6: {message}", "add a server of that family to `to`"
            if not homes.public(address):
                yield ("at",), f"{item} belongs to no uplink", homes.nowhere()


def _families(
    spec: GatewaySpec, forward: Forward, servers: frozenset[int], publics: Sequence[_Public]
) -> Iterator[Problem]:
    if any(item not in spec.uplinks and not _is_address(item) for item in forward.at or ()):
        return  # an unknown uplink, which is reported elsewhere, may have any family
    published = {family for family, _ in publics}
    if forward.at:
        reported = not published and all(_is_address(item) for item in forward.at)
        unused = set() if reported else servers - published
    else:  # a server may wait for an uplink to have its family
        unused = servers if spec.uplinks and not published else set()
    if unused:
        family = min(unused)
        shown = f"a server is IPv{family}, and it is published on no IPv{family} address"
        hint = f"publish it on an IPv{family} address as well, or leave that server out"
        yield ("to",), f"IPv4 mixed with IPv6: {shown}", hint


def _brackets(forward: Forward) -> str:
    """An address that ends as if a port was meant, where an IPv6 address makes no sense."""
    for target in forward.to:
        host, _, port = str(target.address).rpartition(":")
        if target.ports is None and target.address.version == 6 and _is_ipv6(host) and _is_port(port):
            return f"; a port goes after brackets: [{host}]:{port}"
    return ""


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) < 65536


def _servers(homes: Homes, inside_networks: InsideNetworks, at: Path, forward: Forward) -> Iterator[Problem]:
    path = (*at, "to")
    chosen: set[str] = set()
    for target in forward.to:
        address = target.address
        own = homes.own.get((address.version, int(address)))
        if own:
            message = f"{address} is the gateway's own address (uplink {own!r})"
            yield path, message, "name a server: the gateway itself answers what is sent to its own addresses"
        if not inside_networks.tenants:
            continue
        tenants = sorted({behind.tenant for behind in inside_networks.of_address(address) if behind.tenant})
        if forward.tenant is None:
            chosen.update(tenants)
            if len(tenants) > 1:
                yield path, f"{address} exists in several tenants: {', '.join(tenants)}", "name one with `tenant`"
                return
        elif forward.tenant in inside_networks.tenants and forward.tenant not in tenants:
            message = f"{address} is not in the networks of tenant {forward.tenant!r}"
            yield path, message, "name a server of that tenant, or add its network to the interface"
    if len(chosen) > 1:
        message = f"the servers are in several tenants: {', '.join(sorted(chosen))}"
        yield path, message, "write one forward for each tenant"


def _probed(at: Path, forward: Forward, before: int) -> Iterator[Problem]:
    """`before`: servers with probes of the forwards that come first. Told once."""
    if before <= MOST_SERVERS < before + len(forward.to):
        message = f"more than {MOST_SERVERS} servers have probes"
        yield (*at, "health"), message, "probe the servers of fewer forwards"


def _shifted(at: Path, forward: Forward) -> Iterator[Problem]:
    for service in forward.ports or ():
        if service.ports.size <= MAX_SHIFTED:
            continue
        if any(target.ports is not None and target.ports != service.ports for target in forward.to):
            message = f"{service} is a shifted range of {service.ports.size} ports: at most {MAX_SHIFTED}"
            yield (*at, "ports"), message, "keep the port numbers as they are, or shift fewer"


def _conflicts(spec: GatewaySpec, claims: Claims) -> Iterator[Problem]:
    reported: set[tuple[str, str]] = set()

    def apart(one: str, other: str) -> bool:
        return _other_clients(spec.forwards[one], spec.forwards[other])

    names = list(spec.forwards)
    for place, claimed in sorted(claims.spans.items()):
        packed = claims.spans[place] = in_order(claimed)
        if not may_overlap(packed):
            continue
        claims.disjoint = False
        _, public, protocol = place
        spans = [_span(number, names) for number in packed]
        limited = any(spec.forwards[span.owner].is_limited for span in spans)
        for later, earlier in overlapping(spans, apart if limited else None):
            pair = (later.owner, earlier.owner)
            if pair in reported:
                continue
            reported.add(pair)
            first, last = max(later.first, earlier.first), min(later.last, earlier.last)
            if last:
                ports = f"ports {first}-{last}" if last > first else f"port {first}"
                what, field = f"{public} {protocol} {ports}", "ports"
            elif protocol:
                what, field = f"{public} {f'protocol {protocol}' if protocol.isdecimal() else protocol}", "protocol"
            else:
                what, field = f"everything that is sent to {public}", "at"
            use = "used twice" if later.owner == earlier.owner else f"already used by forward {earlier.owner!r}"
            verb = "are" if last > first else "is"
            yield (
                ("spec", "forwards", later.owner, field),
                f"{what} {verb} {use}",
                "a public port leads to one place: change the port, the address or `from`"
                if last or not protocol
                else "a protocol leads to one place: change the address or `from`, or leave it out here",
            )


def _other_clients(one: Forward, other: Forward) -> bool:
    """Is there no client that is meant by both, and no port that both mean a client to send from?"""
    from_others = bool(one.from_ and other.from_) and not any(
        a.overlaps(b) for a in one.from_ or () for b in other.from_ or ()
    )
    from_other_ports = bool(one.from_ports and other.from_ports) and not any(
        a.protocol == b.protocol and a.ports.overlaps(b.ports)
        for a in one.from_ports or ()
        for b in other.from_ports or ()
    )
    other_dscp = bool(one.dscp and other.dscp) and not set(one.dscp or ()) & set(other.dscp or ())
    other_mark = one.mark is not None and other.mark is not None and one.mark.excludes(other.mark)
    return from_others or from_other_ports or other_dscp or other_mark or _excepts(one, other) or _excepts(other, one)


def _excepts(one: Forward, other: Forward) -> bool:
    """Are all clients of the other excepted?"""
    return bool(other.from_) and all(any(within(n, e) for e in one.except_ or ()) for n in other.from_ or ())


def _statics(spec: GatewaySpec, claims: Claims) -> Iterator[Problem]:
    """1:1 NAT takes a public address whole."""
    if not spec.static:
        return
    forwards: dict[str, dict[str, None]] = defaultdict(dict)
    names = list(spec.forwards)
    for (_, public, _), packed in claims.spans.items():
        if _is_address(public):
            forwards[public].update(dict.fromkeys(_span(number, names).owner for number in packed))
    own, declared = own_addresses(spec), declared_networks(spec)
    spans: list[AddressSpan[tuple[bool, str]]] = [
        span_of(mapped, 0, (True, name))
        for name, static in spec.static.items()
        if not static.to and not (static.in_ and static.tenant)  # which stand beside forwards for all others
        for _, mapped in pieces(static, own, declared)
    ]
    spans += [span_of(ip_network(ip_address(public)), 1, (False, public)) for public in forwards]
    for later, earlier in overlapping(spans, lambda one, other: one[0] == other[0]):
        public, static = later.owner[1], earlier.owner[1]
        for name in forwards[public]:
            yield (
                ("spec", "forwards", name, "at"),
                f"{public} is {_real(spec.static[static], public)} already, by static {static!r}",
                "publish on another address, or write the 1:1 entry as a forward and a rule of sourceNat",
            )


def _real(static: Static, public: str) -> Network:
    """The address of an entry that is known as `public`."""
    return next(real for real, mapped in static.pairs if ip_address(public) in mapped)
