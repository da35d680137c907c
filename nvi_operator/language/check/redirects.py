"""Redirects: one server for each port that inside hosts ask, and one tenant in which it lives."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from nvi_operator.language.check.addresses import InsideNetworks, Problem, own_addresses
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.redirects import RedirectSpec
from nvi_operator.language.model.services import Service
from nvi_operator.language.model.values import FAMILIES


def check_redirects(spec: GatewaySpec) -> Iterator[Problem]:
    if not spec.redirects:
        return
    inside = InsideNetworks(spec)
    own = {int(n.network_address): n for n in own_addresses(spec) if n.prefixlen == n.max_prefixlen}
    for name, redirect in spec.redirects.items():
        at: Path = ("spec", "redirects", name)
        for target in redirect.to if isinstance(redirect.to, tuple) else ():
            if int(target.address) in own and own[int(target.address)].version == target.address.version:
                yield (*at, "to"), f"{target.address} is the gateway's own address on an uplink", "write `self`"
        yield from _tenants(spec, inside, at, redirect)
    for (one, earlier), (other, later) in combinations(spec.redirects.items(), 2):
        if (shared := _shared(earlier, later)) is not None:
            message = f"{shared} is already redirected by {one!r}"
            yield ("spec", "redirects", other, "ports"), message, "change the ports, `in` or `from`"


def _shared(one: RedirectSpec, other: RedirectSpec) -> Service | None:
    """A port that both redirect for the same clients."""
    if one.in_ and other.in_ and not set(one.in_) & set(other.in_):
        return None
    if not _families(one) & _families(other):
        return None
    if one.from_ and other.from_ and not any(a.overlaps(b) for a in one.from_ for b in other.from_):
        return None
    shared = (b for a in one.ports for b in other.ports if a.protocol == b.protocol and a.ports.overlaps(b.ports))
    return next(shared, None)


def _families(redirect: RedirectSpec) -> set[int]:
    return {t.address.version for t in redirect.to} if isinstance(redirect.to, tuple) else set(FAMILIES)


def _tenants(spec: GatewaySpec, inside: InsideNetworks, at: Path, redirect: RedirectSpec) -> Iterator[Problem]:
    if not inside.tenants:
        return
    ifnames = redirect.in_ or tuple(spec.interfaces)
    if redirect.is_to_self:
        for ifname in ifnames:
            if ifname in spec.interfaces and spec.interfaces[ifname].tenant:
                message = f"answers of the gateway itself cannot tell tenants apart, and {ifname} is of one"
                yield (*at, "to"), message, "name a server of the tenant, or other interfaces with `in`"
                return
    for target in redirect.to if isinstance(redirect.to, tuple) else ():
        behind = {b.tenant for b in inside.of_address(target.address)}
        if len(behind) > 1 and not behind & {
            spec.interfaces[i].tenant for i in redirect.in_ or () if i in spec.interfaces
        }:
            tenants = ", ".join(sorted(tenant or "none" for tenant in behind))
            yield (
                (*at, "to"),
                f"{target.address} exists in several tenants: {tenants}",
                "name its interface with `in`",
            )
