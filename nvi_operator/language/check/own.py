"""The rules for what the gateway itself sends: `in: self` of sourceNat and of routes."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.language.check.addresses import InsideNetworks, Problem, explicit
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import SELF, Address, Network


def check_own(spec: GatewaySpec) -> Iterator[Problem]:
    if SELF in spec.interfaces:
        yield ("spec", "interfaces", SELF), f"{SELF} stands for the gateway itself", "rename the interface"
    for name, uplink in spec.uplinks.items():
        if uplink.interface == SELF:
            at: Path = ("spec", "uplinks", name, "interface")
            yield at, f"{SELF} stands for the gateway itself", "rename the interface"
    uplink_of = {address: name for name, uplink in spec.uplinks.items() for address in explicit(uplink)}
    inside_networks = InsideNetworks(spec)
    for number, rule in enumerate(spec.source_nat):
        if SELF not in (rule.in_ or ()):
            continue
        at = ("spec", "sourceNat", number)
        yield from _bound(at, uplink_of, rule.from_)
        if rule.tenant:
            yield (*at, "tenant"), "the gateway itself is in no tenant", "leave tenant out, or self"
        if not rule.as_.overload:
            message = "overload: false gives each of several sources its own address, and the gateway is one"
            yield (*at, "as"), message, "leave overload out"
        for pool in rule.as_.pool or ():
            if inside_networks.hold(pool.first, pool.last):
                message = f"{pool} is an inside address, and what the gateway sends to the inside has one already"
                yield (*at, "as"), message, "name an uplink, or leave self out"
    for number, route in enumerate(spec.routes):
        if SELF in (route.in_ or ()):
            yield from _bound(("spec", "routes", number), uplink_of, route.from_)


def _bound(at: Path, uplink_of: dict[Address, str], sources: tuple[Network, ...] | None) -> Iterator[Problem]:
    for network in sources or ():
        if name := uplink_of.get(network.network_address) if network.prefixlen == network.max_prefixlen else None:
            message = (
                f"{network.network_address} is of uplink {name!r}, and what the gateway sends from it leaves by it"
            )
            yield (*at, "from"), message, "leave from out: it is then about what is bound to no address"
