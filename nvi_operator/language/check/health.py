"""The rules for probes: each target is on the far side of its uplink."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from nvi_operator.language.check.addresses import Problem, explicit, families_of
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.health import Probe
from nvi_operator.language.model.values import Network

_BEYOND = "name one beyond the provider, such as a name server of another operator"


def check_health(spec: GatewaySpec) -> Iterator[Problem]:
    inside = {network: name for name, i in spec.interfaces.items() for network in (*i.networks, *(i.known_as or ()))}
    own: dict[Network, str] = {}
    for name, uplink in spec.uplinks.items():
        own |= dict.fromkeys((*map(ip_network, explicit(uplink)), *(uplink.routed or ())), name)
    for name, uplink in spec.uplinks.items():
        path: Path = ("spec", "uplinks", name, "health")
        families = families_of(uplink) | {hop.version for hop in uplink.next_hop or () if not isinstance(hop, str)}
        seen: set[str] = set()
        for probe in uplink.health.probes if uplink.health else ():
            target = ip_network(probe.address)
            if interface := _in(target, inside):
                yield path, f"{probe}: {probe.address} is inside, behind {interface}: no uplink leads there", _BEYOND
            elif owner := _in(target, own):
                yield path, f"{probe}: {probe.address} is this gateway's own, of uplink {owner!r}", _BEYOND
            elif probe.address.version not in families:
                message = f"{probe}: the uplink has no IPv{probe.address.version} address"
                yield path, message, f"name an IPv{min(families)} target" if families else _BEYOND
            if (key := _key(probe)) in seen:
                yield path, f"{probe} is named twice: one target that fails would count twice", "keep one of them"
            seen.add(key)


def _key(probe: Probe) -> str:
    return f"{probe} {probe.name} {probe.host}"


def _in(target: Network, networks: dict[Network, str]) -> str | None:
    return next((name for n, name in networks.items() if n.overlaps(target)), None)
