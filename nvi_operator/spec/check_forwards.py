"""The rules for destination NAT: every public (address, protocol, port) leads to one place."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from nvi_operator.spec.document import Path
from nvi_operator.spec.models import Forward, GatewaySpec
from nvi_operator.spec.values import Network

MAX_SHIFTED = 4096  # ports of one shifted range: each becomes an entry of its own

Problem = tuple[Path, str, str]


@dataclass(frozen=True, order=True)
class _Claim:
    """A forward's hold on ports of one public address."""

    first: int
    last: int
    name: str


def check_forwards(spec: GatewaySpec) -> Iterator[Problem]:
    claims: dict[tuple[str, str], list[_Claim]] = defaultdict(list)
    own = {a: n for n, u in spec.uplinks.items() if u.addresses != "auto" for a in u.addresses}
    homes = _Homes(spec)
    for name, forward in spec.forwards.items():
        at: Path = ("spec", "forwards", name)
        yield from _targets(spec, at, forward, own)
        yield from _tenant(spec, at, forward)
        families: set[int] = {target.address.version for target in forward.to}
        for item in forward.at or tuple(spec.uplinks):
            address = _address(item)
            if address is not None:
                if address.version not in families:
                    yield (
                        (*at, "at"),
                        f"IPv4 mixed with IPv6: {address} is IPv{address.version}, and no server is",
                        "add a server of that family to `to`",
                    )
                if not homes.hold(address):
                    yield (
                        (*at, "at"),
                        f"{address} is an address on no uplink",
                        "add it to the addresses or routed prefixes of an uplink",
                    )
            for public in _publics(spec, item, families):
                for service in forward.ports or ():
                    claim = _Claim(service.ports.first, service.ports.last, name)
                    claims[public, service.protocol].append(claim)
                if not forward.ports:
                    claims[public, ""].append(_Claim(0, 0, name))
        for service in forward.ports or ():
            shifted = any(t.ports is not None and t.ports != service.ports for t in forward.to)
            if shifted and service.ports.size > MAX_SHIFTED:
                yield (
                    (*at, "ports"),
                    f"{service}: a shifted range of {service.ports.size} ports: at most {MAX_SHIFTED}",
                    "keep the port numbers, or split the range over several addresses",
                )
    yield from _conflicts(spec, claims)
    yield from _statics(spec, claims)


def _address(text: str) -> Any:
    try:
        return ip_address(text)
    except ValueError:
        return None


class _Homes:
    """Which addresses belong to an uplink."""

    def __init__(self, spec: GatewaySpec) -> None:
        self._addresses = {a for u in spec.uplinks.values() if u.addresses != "auto" for a in u.addresses}
        self._routed: list[Network] = [n for u in spec.uplinks.values() for n in u.routed or ()]

    def hold(self, address: Any) -> bool:
        return address in self._addresses or any(address in network for network in self._routed)


def _publics(spec: GatewaySpec, item: str, families: set[int]) -> Iterator[str]:
    """The public addresses of an entry of `at`; an uplink with dynamic ones stands for itself."""
    uplink = spec.uplinks.get(item)
    if uplink is None:
        if _address(item) is not None:
            yield str(ip_address(item))
    elif uplink.addresses == "auto":
        yield item
    else:
        for family in sorted(families):
            first = next((a for a in uplink.addresses if a.version == family), None)
            if first is not None:
                yield str(first)


def _targets(spec: GatewaySpec, at: Path, forward: Forward, own: dict[Any, str]) -> Iterator[Problem]:
    for target in forward.to:
        if target.address in own:
            yield (
                (*at, "to"),
                f"{target.address} is the gateway's own address (uplink {own[target.address]!r})",
                "a forward leads to a server; the gateway answers for its own addresses itself",
            )


def _tenant(spec: GatewaySpec, at: Path, forward: Forward) -> Iterator[Problem]:
    for target in forward.to:
        holders = {
            (i.tenant or "", ifname)
            for ifname, i in spec.interfaces.items()
            if any(target.address in network for network in i.networks)
        }
        tenants = {tenant for tenant, _ in holders if tenant}
        if forward.tenant is None and tenants:
            yield (
                (*at, "to"),
                f"{target.address} exists in tenant{'s' if len(tenants) > 1 else ''} {', '.join(sorted(tenants))}",
                "say which with tenant",
            )
        elif forward.tenant is not None and forward.tenant not in tenants:
            yield (
                (*at, "to"),
                f"{target.address} is not in the networks of tenant {forward.tenant!r}",
                "name a server of that tenant, or add its network to the interface",
            )


def _conflicts(spec: GatewaySpec, claims: dict[tuple[str, str], list[_Claim]]) -> Iterator[Problem]:
    reported: set[tuple[str, str]] = set()
    for (public, protocol), held in sorted(claims.items()):
        held.sort()
        widest: _Claim | None = None
        for claim in held:
            if widest is not None and claim.first <= widest.last:
                pair = (claim.name, widest.name)
                apart = _clients_apart(spec.forwards[claim.name], spec.forwards[widest.name])
                if pair not in reported and not apart:
                    reported.add(pair)
                    ports = f"ports {claim.first}-{claim.last}" if claim.last > claim.first else f"port {claim.first}"
                    what = f"{public} {protocol} {ports}" if protocol else f"everything sent to {public}"
                    whose = "twice" if claim.name == widest.name else f"by forward {widest.name!r}, too"
                    yield (
                        ("spec", "forwards", claim.name, "ports" if protocol else "at"),
                        f"{what} is taken {whose}",
                        "each public port leads to one place: change the port, the address or `from`",
                    )
            if widest is None or claim.last > widest.last:
                widest = claim


def _clients_apart(one: Forward, other: Forward) -> bool:
    """May both stand, because no client is meant by both, or one is only for some clients?"""
    if not one.from_ or not other.from_:
        return bool(one.from_) != bool(other.from_)
    return not any(a.version == b.version and a.overlaps(b) for a in one.from_ for b in other.from_)


def _statics(spec: GatewaySpec, claims: dict[tuple[str, str], list[_Claim]]) -> Iterator[Problem]:
    """A 1:1 address takes every port of it."""
    networks = sorted((s.as_.version, int(s.as_.network_address), n) for n, s in spec.static.items())
    starts = [(version, start) for version, start, _ in networks]
    for (public, _), held in sorted(claims.items()):
        address = _address(public)
        if address is None:
            continue
        place = bisect_right(starts, (address.version, int(address))) - 1
        name = networks[place][2] if place >= 0 else ""
        if name and address in spec.static[name].as_:
            yield (
                ("spec", "forwards", held[0].name, "at"),
                f"{public} is 1:1 with {spec.static[name].address} (static {name!r})",
                "publish on another address, or drop the static entry",
            )
