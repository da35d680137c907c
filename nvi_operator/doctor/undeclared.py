"""Networks that are not in the spec, such as those of containers, and those behind another router of a LAN. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from nvi_operator.doctor.footprint import Footprint, footprint
from nvi_operator.doctor.survey import RouteFact, Survey
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import Network, within

_UNIQUE_LOCAL = ip_network("fc00::/7")


def undeclared(survey: Survey, need: Footprint) -> Iterator[tuple[str, list[Network]]]:
    """Interfaces that are up and not in the spec, and the networks that they lead to."""
    for ifname, routes in routes_by_interface(survey, need):
        link = survey.links.get(ifname)
        if link is None or not link.up or ifname in (*need.networks, need.device, "lo"):
            continue
        if networks := _merged(route.destination for route in routes if not route.wide):
            yield ifname, networks


def further_networks(survey: Survey, spec: GatewaySpec) -> Iterator[tuple[str, list[Network]]]:
    """Inside interfaces, and the networks that they lead to and no interface has in the spec.

    Hosts inside may have what is routed to the gateway, or delegated to it: neither needs to be named.
    """
    need = footprint(spec)
    named = [network for interface in spec.interfaces.values() for network in interface.networks]
    named += [network for uplink in spec.uplinks.values() for network in uplink.routed or ()]
    delegated = any(uplink.delegated for uplink in spec.uplinks.values())
    for ifname, routes in routes_by_interface(survey, need):
        further = (
            route.destination
            for route in routes
            if not route.wide
            and not any(within(route.destination, network) for network in named)
            and not (delegated and route.destination.version == 6 and not within(route.destination, _UNIQUE_LOCAL))
        )
        if ifname in need.networks and (networks := _merged(further)):
            yield ifname, networks


def routes_by_interface(survey: Survey, need: Footprint) -> Iterator[tuple[str, list[RouteFact]]]:
    """Routes of `main` that packets of inside hosts take, by family; without a spec there are none.

    Stage 2 does not see those through uplinks, nor through others in their link group.
    """
    versions = {network.version for networks in need.networks.values() for network in networks}
    found: dict[str, list[RouteFact]] = {}
    for route in survey.main_routes:
        network, link = route.destination, survey.links.get(route.ifname)
        suppressed = route.ifname in need.uplinks or (link is not None and link.group == need.link_group)
        # Some put 224.0.0.0/4 on an interface.
        if network.version in versions and not (suppressed or network.is_multicast or network.is_link_local):
            found.setdefault(route.ifname, []).append(route)
    yield from found.items()


def _merged(networks: Iterator[Network]) -> list[Network]:
    """The fewest networks that cover the same addresses."""
    given = list(networks)
    return [
        *collapse_addresses(n for n in given if isinstance(n, IPv4Network)),
        *collapse_addresses(n for n in given if isinstance(n, IPv6Network)),
    ]
