"""The rules for destination NAT: every public (address, protocol, port) leads to one place.

An uplink's name stands for its first address of each family; an uplink with `addresses: auto` for itself. Port
forwards go before a forward of the whole address, so that they may stand side by side. Two forwards of one port
may stand where no client is meant by both; a forward without `from` means every client.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network

from nvi_operator.spec.addresses import Homes, Insides, Problem, Span, explicit, families_of, overlapping, span_of
from nvi_operator.spec.bulk import Forward
from nvi_operator.spec.document import Path
from nvi_operator.spec.models import GatewaySpec
from nvi_operator.spec.values import FAMILIES, parse_address

MAX_SHIFTED = 4096  # ports of one shifted range: each becomes an entry of its own

# (family, public address or name of an uplink with dynamic ones, protocol or "" for the whole address)
_Public = tuple[int, str, str]
_Claims = Mapping[_Public, list[Span[str]]]


def check_forwards(spec: GatewaySpec) -> Iterator[Problem]:
    if not spec.forwards:
        return
    homes, insides = Homes(spec), Insides(spec)
    first_addresses = _first_addresses(spec)
    claims: dict[_Public, list[Span[str]]] = defaultdict(list)
    for order, (name, forward) in enumerate(spec.forwards.items()):
        at: Path = ("spec", "forwards", name)
        servers = frozenset([target.address.version for target in forward.to])
        publics = list(_publics(spec, forward, servers, first_addresses))
        for family, public in publics:
            if not forward.ports:
                claims[family, public, ""].append(Span(0, 0, 0, order, name))
            for service in forward.ports or ():
                span = Span(0, service.ports.first, service.ports.last, order, name)
                claims[family, public, service.protocol].append(span)
        yield from _addresses(spec, homes, at, forward, servers)
        yield from _families(spec, at, forward, servers, {family for family, _ in publics})
        yield from _servers(homes, insides, at, forward)
        yield from _shifted(at, forward)
    yield from _conflicts(spec, claims)
    yield from _statics(spec, claims)


def _first_addresses(spec: GatewaySpec) -> dict[str, list[tuple[int, str]]]:
    """What each uplink's name stands for."""
    return {
        name: [
            (family, name)
            if uplink.addresses == "auto"
            else (family, str(next(a for a in explicit(uplink) if a.version == family)))
            for family in FAMILIES
            if family in families_of(uplink)
        ]
        for name, uplink in spec.uplinks.items()
    }


def _publics(
    spec: GatewaySpec, forward: Forward, servers: frozenset[int], first_addresses: Mapping[str, list[tuple[int, str]]]
) -> Iterator[tuple[int, str]]:
    """Where it is published, in the families that its servers have."""
    for item in forward.at or tuple(spec.uplinks):
        if item in first_addresses:
            yield from (public for public in first_addresses[item] if public[0] in servers)
        elif _is_address(item):
            family = 6 if ":" in item else 4
            if family in servers:
                yield family, item


def _is_address(item: str) -> bool:
    return "." in item or ":" in item


def _addresses(
    spec: GatewaySpec, homes: Homes, at: Path, forward: Forward, servers: frozenset[int]
) -> Iterator[Problem]:
    path = (*at, "at")
    if not forward.at and not spec.uplinks:
        yield at, "there is no uplink to publish it on", "add an uplink"
    for item in forward.at or ():
        if _is_address(item):
            address = parse_address(item)
            if address.version not in servers:
                message = f"{item} is IPv{address.version}, and no server is"
                yield path, f"IPv4 mixed with IPv6: {message}", "add a server of that family to `to`"
            if not homes.public(address):
                yield path, f"{item} is an address on no uplink", homes.nowhere()


def _families(
    spec: GatewaySpec, at: Path, forward: Forward, servers: frozenset[int], published: set[int]
) -> Iterator[Problem]:
    if forward.from_ and not servers & {network.version for network in forward.from_}:
        shown = f"from is IPv{forward.from_[0].version} and the servers are IPv{min(servers)}"
        yield (*at, "from"), f"IPv4 mixed with IPv6: {shown}", "name clients of the servers' family"
    if any(item not in spec.uplinks and not _is_address(item) for item in forward.at or ()):
        return  # an unknown uplink, which was said, may have any family
    if forward.at:
        said = not published and all(_is_address(item) for item in forward.at)
        unused = set() if said else servers - published
    else:  # a server of a family that no uplink has is for the day when one has
        unused = servers if spec.uplinks and not published else set()
    if unused:
        family = min(unused)
        shown = f"a server is IPv{family}, and it is published on no IPv{family} address"
        hint = f"publish it on an IPv{family} address, too, or leave that server out"
        yield (*at, "to"), f"IPv4 mixed with IPv6: {shown}", hint


def _servers(homes: Homes, insides: Insides, at: Path, forward: Forward) -> Iterator[Problem]:
    path = (*at, "to")
    chosen: set[str] = set()
    for target in forward.to:
        address = target.address
        own = homes.own.get((address.version, int(address)))
        if own:
            message = f"{address} is the gateway's own address (uplink {own!r})"
            yield path, message, "name a server: what is for its own addresses the gateway answers itself"
        if not insides.tenants:
            continue
        tenants = sorted({behind.tenant for behind in insides.of_address(address) if behind.tenant})
        if forward.tenant is None:
            chosen.update(tenants)
            if len(tenants) > 1:
                yield path, f"{address} exists in several tenants: {', '.join(tenants)}", "say which with tenant"
                return
        elif forward.tenant in insides.tenants and forward.tenant not in tenants:
            message = f"{address} is not in the networks of tenant {forward.tenant!r}"
            yield path, message, "name a server of that tenant, or add its network to the interface"
    if len(chosen) > 1:
        message = f"the servers are in several tenants: {', '.join(sorted(chosen))}"
        yield path, message, "write one forward for each tenant"


def _shifted(at: Path, forward: Forward) -> Iterator[Problem]:
    for service in forward.ports or ():
        if service.ports.size <= MAX_SHIFTED:
            continue
        if any(target.ports is not None and target.ports != service.ports for target in forward.to):
            message = f"{service} is a shifted range of {service.ports.size} ports: at most {MAX_SHIFTED}"
            yield (*at, "ports"), message, "keep the port numbers as they are, or shift fewer"


def _conflicts(spec: GatewaySpec, claims: _Claims) -> Iterator[Problem]:
    reported: set[tuple[str, str]] = set()

    def apart(one: str, other: str) -> bool:
        return _other_clients(spec.forwards[one], spec.forwards[other])

    for (_, public, protocol), held in sorted(claims.items()):
        if len(held) == 1:
            continue
        limited = any(spec.forwards[span.owner].from_ for span in held)
        for later, earlier in overlapping(held, apart if limited else None):
            pair = (later.owner, earlier.owner)
            if pair in reported:
                continue
            reported.add(pair)
            if protocol:
                first, last = max(later.first, earlier.first), min(later.last, earlier.last)
                ports = f"ports {first}-{last}" if last > first else f"port {first}"
                what = f"{public} {protocol} {ports}"
            else:
                what = f"everything that is sent to {public}"
            whose = "twice" if later.owner == earlier.owner else f"by forward {earlier.owner!r}, too"
            verb = "are" if protocol and last > first else "is"
            field = "ports" if protocol else "at"
            yield (
                ("spec", "forwards", later.owner, field),
                f"{what} {verb} taken {whose}",
                "each public port leads to one place: change the port, the address or `from`",
            )


def _other_clients(one: Forward, other: Forward) -> bool:
    """Is there no client that is meant by both?"""
    if one.from_ is None or other.from_ is None:
        return False
    return not any(a.version == b.version and a.overlaps(b) for a in one.from_ for b in other.from_)


def _statics(spec: GatewaySpec, claims: _Claims) -> Iterator[Problem]:
    """1:1 NAT takes a public address whole."""
    if not spec.static:
        return
    forwards: dict[str, dict[str, None]] = defaultdict(dict)
    for (_, public, _), held in claims.items():
        if _is_address(public):
            forwards[public].update(dict.fromkeys(span.owner for span in held))
    spans: list[Span[tuple[bool, str]]] = [span_of(s.as_, 0, (True, name)) for name, s in spec.static.items()]
    spans += [span_of(ip_network(ip_address(public)), 1, (False, public)) for public in forwards]
    for later, earlier in overlapping(spans, lambda one, other: one[0] == other[0]):
        public, static = later.owner[1], earlier.owner[1]
        for name in forwards[public]:
            yield (
                ("spec", "forwards", name, "at"),
                f"{public} is {spec.static[static].address} already, by static {static!r}",
                "publish on another address, or leave the 1:1 entry out",
            )
