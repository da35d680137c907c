"""The rules that need the whole gateway. Each yields (path, what is wrong, what to do); all of them are run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from typing import Any

from nvi_operator.spec.check_forwards import check_forwards
from nvi_operator.spec.document import Path
from nvi_operator.spec.models import GatewaySpec, SourceNat
from nvi_operator.spec.values import AddressRange, Network

Problem = tuple[Path, str, str]

MAX_TENANTS = 255
MAX_ROUTES = 400
MAX_SPREAD = 4096  # addresses of a pool that we choose from ourselves


def check(spec: GatewaySpec) -> list[Problem]:
    """Every problem of a spec whose parts are each valid."""
    if not spec.interfaces and not spec.uplinks:
        return [
            (
                ("spec",),
                "there is nothing to do: no interfaces and no uplinks",
                "add spec.uplinks and spec.interfaces",
            )
        ]
    return [problem for rule in _RULES for problem in rule(spec)]


# --------------------------------------------------------------------------- names


def _names(spec: GatewaySpec) -> Iterator[Problem]:
    tenants = {i.tenant for i in spec.interfaces.values() if i.tenant}
    interfaces = {*spec.interfaces, *(u.interface for u in spec.uplinks.values())}
    for number, line in enumerate(spec.source_nat):
        at: Path = ("spec", "sourceNat", number)
        for name in line.as_.uplinks:
            yield from _known((*at, "as"), "uplink", name, spec.uplinks)
        for ifname in line.in_ or ():
            yield from _known((*at, "in"), "interface", ifname, interfaces)
        yield from _known_tenant(at, line.tenant, tenants)
    for number, route in enumerate(spec.routes):
        yield from _known(("spec", "routes", number, "via"), "uplink", route.via, spec.uplinks)
        for ifname in route.in_ or ():
            yield from _known(("spec", "routes", number, "in"), "interface", ifname, interfaces)
    for name, forward in spec.forwards.items():
        yield from _known_tenant(("spec", "forwards", name), forward.tenant, tenants)
        for item in forward.at or ():
            if not _is_address(item):
                yield from _known(("spec", "forwards", name, "at"), "uplink", item, spec.uplinks)
    for name, static in spec.static.items():
        yield from _known_tenant(("spec", "static", name), static.tenant, tenants)
    for name, twice in spec.twice_nat.items():
        yield from _known(("spec", "twiceNat", name, "via"), "uplink", twice.via, spec.uplinks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _known(path: Path, what: str, name: str, known: Iterable[str]) -> Iterator[Problem]:
    names = sorted(known)
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names) or 'none'}"
        yield path, f"there is no {what} {name!r}", hint


def _known_tenant(at: Path, name: str | None, known: Iterable[str]) -> Iterator[Problem]:
    if name is not None:
        yield from _known((*at, "tenant"), "tenant", name, known)


# --------------------------------------------------------------------------- interfaces and uplinks


def _interfaces(spec: GatewaySpec) -> Iterator[Problem]:
    uplink_of = {uplink.interface: name for name, uplink in spec.uplinks.items()}
    for ifname in spec.interfaces:
        path: Path = ("spec", "interfaces", ifname)
        if ifname in uplink_of:
            yield (
                path,
                f"{ifname} is the interface of uplink {uplink_of[ifname]!r} already",
                "uplinks take part by themselves",
            )
        if ifname == spec.dataplane.device:
            yield path, f"{ifname} is the name of the NAT virtual interface", "choose another dataplane.device"
    items = list(spec.interfaces.items())
    for number, (ifname, interface) in enumerate(items):
        for other_name, other in items[:number]:
            apart = interface.tenant and other.tenant and interface.tenant != other.tenant
            pair = None if apart else _first_overlap(interface.networks, other.networks)
            if pair:
                yield (
                    ("spec", "interfaces", ifname, "networks"),
                    f"{pair[0]} overlaps {pair[1]} of {other_name}",
                    "give each of them a tenant, if they are different networks with equal addresses",
                )
    tenants = {i.tenant for i in spec.interfaces.values() if i.tenant}
    if len(tenants) > MAX_TENANTS:
        yield (
            ("spec", "interfaces"),
            f"{len(tenants)} tenants: at most {MAX_TENANTS}",
            "use another gateway for the rest",
        )
    if spec.dataplane.in_interface == "mark" and tenants:
        yield ("spec", "dataplane", "inInterface"), "tenants need the mark: inInterface cannot be mark", "write auto"


def _first_overlap(left: Iterable[Network], right: Iterable[Network]) -> tuple[Network, Network] | None:
    others = list(right)
    return next(((a, b) for a in left for b in others if _overlap(a, b)), None)


def _overlap(left: Network, right: Network) -> bool:
    return left.version == right.version and left.overlaps(right)


def _uplinks(spec: GatewaySpec) -> Iterator[Problem]:
    owners: list[tuple[Network, str]] = []
    for name, uplink in spec.uplinks.items():
        path: Path = ("spec", "uplinks", name)
        if uplink.interface == spec.dataplane.device:
            yield (
                (*path, "interface"),
                f"{uplink.interface} is the NAT virtual interface",
                "choose another dataplane.device",
            )
        addresses = () if uplink.addresses == "auto" else uplink.addresses
        for field, networks in (
            ("addresses", [ip_network(a) for a in addresses]),
            ("routed", list(uplink.routed or ())),
        ):
            for network in networks:
                owner = next((n for other, n in owners if _overlap(network, other)), None)
                if owner:
                    shown = network.network_address if field == "addresses" else network
                    whose = "this uplink" if owner == name else f"uplink {owner!r}"
                    yield (*path, field), f"{shown} belongs to {whose} already", "an address follows one uplink only"
                owners.append((network, name))
        if addresses and isinstance(uplink.next_hop, tuple):
            known = {a.version for a in addresses} | {n.version for n in uplink.routed or ()}
            for hop in uplink.next_hop:
                if hop.version not in known:
                    yield (
                        (*path, "nextHop"),
                        f"{hop} is IPv{hop.version}, and the uplink has no IPv{hop.version} address",
                        "add an address of that family, or leave the next hop out",
                    )
            for family in sorted(known - {hop.version for hop in uplink.next_hop}):
                yield (
                    (*path, "nextHop"),
                    f"the uplink has IPv{family} addresses, and no IPv{family} next hop",
                    "add the router of that family",
                )


# --------------------------------------------------------------------------- whose addresses


def _belongs(spec: GatewaySpec, first: Any, last: Any, *, aliases: bool) -> bool:
    """Do the addresses from `first` to `last` lie on an uplink, or (for aliases) in a knownAs?"""
    homes: list[Network] = [n for u in spec.uplinks.values() for n in u.routed or ()]
    homes += [ip_network(a) for u in spec.uplinks.values() if u.addresses != "auto" for a in u.addresses]
    if aliases:
        homes += [n for i in spec.interfaces.values() for n in i.known_as or ()]
    same = sorted((n for n in homes if n.version == first.version), key=lambda n: int(n.network_address))
    need = int(first)
    for network in same:
        if int(network.network_address) <= need <= int(network.broadcast_address):
            need = int(network.broadcast_address) + 1
    return need > int(last)


_NOWHERE = "add it to the addresses or routed prefixes of an uplink"


def _source_nat(spec: GatewaySpec) -> Iterator[Problem]:
    for number, line in enumerate(spec.source_nat):
        at: Path = ("spec", "sourceNat", number)
        for pool in line.as_.pool or ():
            if not _belongs(spec, pool.first, pool.last, aliases=True):
                yield (*at, "as"), f"{pool} is an address on no uplink", _NOWHERE
        yield from _line_families(at, line)
        yield from _line_tenants(spec, at, line)
        if line.as_.pool:
            yield from _pool_size(spec, at, line, line.as_.pool)


def _line_families(at: Path, line: SourceNat) -> Iterator[Problem]:
    sides: list[tuple[str, set[int]]] = []
    if line.from_:
        sides.append(("from", {n.version for n in line.from_}))
    if line.to:
        sides.append(("to", {n.version for n in line.to}))
    if line.as_.pool:
        sides.append(("as", {r.family for r in line.as_.pool}))
    for number, (name, families) in enumerate(sides):
        for other_name, others in sides[:number]:
            if not families & others:
                shown = f"{other_name} is IPv{min(others)} and {name} is IPv{min(families)}"
                yield (*at, name), f"IPv4 mixed with IPv6: {shown}", "a line translates within one family"
                return


def _line_tenants(spec: GatewaySpec, at: Path, line: SourceNat) -> Iterator[Problem]:
    if line.tenant or line.in_ or not line.from_:
        return
    tenants = {i.tenant for i in spec.interfaces.values() if i.tenant and _first_overlap(line.from_, i.networks)}
    if tenants:
        yield (
            (*at, "from"),
            f"these addresses exist in tenants: {', '.join(sorted(t for t in tenants if t))}",
            "say which with tenant, or the interface with in",
        )


def _pool_size(spec: GatewaySpec, at: Path, line: SourceNat, pool: tuple[AddressRange, ...]) -> Iterator[Problem]:
    for family in (4, 6):
        ranges = [r for r in pool if r.family == family]
        size = sum(r.size for r in ranges)
        if not ranges:
            continue
        if line.as_.ports and len(ranges) > 1:
            yield (*at, "as"), "ports need one address or one range", "write the pool as one range"
        if (len(ranges) > 1 or line.as_.pick != "hash") and size > MAX_SPREAD:
            yield (
                (*at, "as"),
                f"a pool of {size} addresses in several parts: at most {MAX_SPREAD}",
                "write it as one range or prefix, picked by hash",
            )
        if not line.as_.overload:
            chosen = [n for n in line.from_ or _inside(spec, line.tenant) if n.version == family]
            sources = sum(n.num_addresses for n in chosen)
            if sources > size:
                yield (
                    (*at, "as"),
                    f"the pool is too small: {sources} sources, {size} addresses, and overload is false",
                    "make the pool as large, or allow overload",
                )
            elif sources > MAX_SPREAD and not (len(chosen) == len(ranges) == 1):
                yield (*at, "as"), f"{sources} sources one by one: at most {MAX_SPREAD}", "use static with prefixes"


def _inside(spec: GatewaySpec, tenant: str | None) -> Iterator[Network]:
    for interface in spec.interfaces.values():
        if tenant is None or interface.tenant == tenant:
            yield from interface.networks


def _static(spec: GatewaySpec) -> Iterator[Problem]:
    items = list(spec.static.items())
    for number, (name, static) in enumerate(items):
        at: Path = ("spec", "static", name)
        if not _belongs(spec, static.as_[0], static.as_[-1], aliases=True):
            yield (*at, "as"), f"{static.as_} is an address on no uplink", _NOWHERE + ", or to an interface's knownAs"
        for other_name, other in items[:number]:
            if _overlap(static.as_, other.as_):
                yield (
                    (*at, "as"),
                    f"{static.as_} overlaps static {other_name!r}",
                    "each public address stands for one",
                )
            if static.tenant == other.tenant and _overlap(static.address, other.address):
                yield (
                    (*at, "address"),
                    f"{static.address} overlaps static {other_name!r}",
                    "each address has one alias",
                )
        tenants = {
            i.tenant for i in spec.interfaces.values() if i.tenant and _first_overlap([static.address], i.networks)
        }
        if tenants and static.tenant is None:
            names = ", ".join(sorted(t for t in tenants if t))
            yield (*at, "address"), f"{static.address} exists in tenants {names}", "say which with tenant"


def _twice_nat(spec: GatewaySpec) -> Iterator[Problem]:
    items = list(spec.twice_nat.items())
    for number, (name, twice) in enumerate(items):
        at: Path = ("spec", "twiceNat", name)
        if not _belongs(spec, twice.as_[0], twice.as_[-1], aliases=True):
            yield (*at, "as"), f"{twice.as_} is an address on no uplink", f"add it to routed of uplink {twice.via!r}"
        for other_name, other in items[:number]:
            if _overlap(twice.to, other.to) and _overlap(twice.from_, other.from_):
                yield (*at, "to"), f"{twice.to} overlaps twiceNat {other_name!r}", "each alias stands for one network"


def _routes(spec: GatewaySpec) -> Iterator[Problem]:
    if len(spec.routes) > MAX_ROUTES:
        yield ("spec", "routes"), f"{len(spec.routes)} routes: at most {MAX_ROUTES}", "join them into prefixes"
    for number, route in enumerate(spec.routes):
        if route.from_ and route.to and not {n.version for n in route.from_} & {n.version for n in route.to}:
            yield ("spec", "routes", number, "to"), "IPv4 mixed with IPv6: from and to", "a route is of one family"


_RULES = (_names, _interfaces, _uplinks, _source_nat, _static, _twice_nat, _routes, check_forwards)
