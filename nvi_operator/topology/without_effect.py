"""Lines of a spec that do nothing on this host, as notes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_network

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.source_nat import SourceNat
from nvi_operator.language.model.values import Network
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.interfaces import Uplink


def lines_without_effect(spec: GatewaySpec, facts: Facts, uplinks: Sequence[Uplink]) -> Iterator[str]:
    """Lines for what the gateway itself sends, which obeys none, and a `pick` with nothing to choose from."""
    given: set[Network] = {ip_network(address) for uplink in uplinks for address in uplink.addresses}
    own = given | {ip_network(interface.ip) for link in facts.links.values() for interface in link.addresses}
    for line in spec.source_nat:
        if line.from_ and own.issuperset(line.from_):
            yield f"sourceNat {line.name}: {_is_own(line.from_)}: what it sends itself obeys no sourceNat"
        if _has_one(line):
            yield f"sourceNat {line.name}: pick {line.as_.pick}: there is one to choose from: leave pick out"
    for route in spec.routes:  # asked after translation, when an uplink's address is that of inside hosts
        if route.from_ and (own - given).issuperset(route.from_):
            yield f"route {route.name}: {_is_own(route.from_)}: what it sends itself obeys no routes"


def _is_own(networks: Iterable[Network]) -> str:
    return f"from {', '.join(str(network.network_address) for network in networks)} is the gateway itself"


def _has_one(line: SourceNat) -> bool:
    """Of each family a single address or uplink. The pick of `hash` is the default, and says nothing."""
    pool = line.as_.pool or {}
    sizes = [sum(r.size for r in pool if r.family == family) for family in (4, 6)]
    return line.as_.pick != "hash" and len(line.as_.uplinks) <= 1 and max(sizes) <= 1
