"""Prefixes and ports without others: what `except` leaves of them. Pure.

As prefixes, so that it means the same to nft, to FIB rules and to the guards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_network
from typing import Any

from nvi_operator.language.model.services import PortRange, Service
from nvi_operator.language.model.values import Family, Network, within
from nvi_operator.topology.prefixes import ANY, fewest


def networks_without(networks: Sequence[Network], excepted: Iterable[Network], family: Family) -> tuple[Network, ...]:
    """What is left of `networks` (of every address where there are none); unchanged if nothing is excepted."""
    out = fewest(excepted, family)
    if not out:
        return tuple(networks)
    left: list[Any] = list(networks) or [ip_network(ANY[family])]
    for hole in out:
        left = [part for network in left for part in _around(network, hole)]
    return fewest(left, family)


def _around(network: Any, hole: Any) -> Iterator[Network]:
    if within(network, hole):
        return
    if within(hole, network):
        yield from network.address_exclude(hole)
    else:
        yield network


def services_without(services: Iterable[Service], excepted: Sequence[Service]) -> tuple[Service, ...]:
    return tuple(part for service in services for part in _ports_without(service, excepted))


def _ports_without(service: Service, excepted: Sequence[Service]) -> Iterator[Service]:
    first = service.ports.first
    holes = sorted(e.ports for e in excepted if e.protocol == service.protocol)
    for hole in holes:
        if hole.last < first or hole.first > service.ports.last:
            continue
        if hole.first > first:
            yield Service(service.protocol, PortRange(first, hole.first - 1))
        first = hole.last + 1
    if first <= service.ports.last:
        yield Service(service.protocol, PortRange(first, service.ports.last))
