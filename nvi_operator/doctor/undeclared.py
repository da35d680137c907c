"""Interfaces with networks that are not in the spec, such as bridges of containers and virtual machines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses

from nvi_operator.doctor.footprint import Footprint
from nvi_operator.doctor.hooks import families
from nvi_operator.doctor.packet import PartialPacket
from nvi_operator.doctor.ruleset import ListedChain, ListedRule
from nvi_operator.doctor.survey import RouteFact, Survey
from nvi_operator.doctor.walk import walk
from nvi_operator.language.model.values import Family, Network

_TRANSLATES = ("masquerade", "snat")


def undeclared(survey: Survey, need: Footprint) -> Iterator[tuple[str, list[Network]]]:
    """Interfaces that are up and not in the spec, and the networks that they lead to."""
    for ifname, routes in routes_by_interface(survey, need):
        link = survey.links.get(ifname)
        if link is None or not link.up or ifname in (*need.networks, need.device, "lo"):
            continue
        if networks := _merged(route.destination for route in routes if not route.wide):
            yield ifname, networks


def answers_to_others(survey: Survey, need: Footprint, chain: ListedChain) -> Iterator[PartialPacket]:
    """Answers to what another tool translates, in stage 2, as a forward chain sees them.

    A container's packet takes one pass and is tracked. Its answer takes two, because it comes in by an uplink: the
    chain sees a packet that belongs to no connection.
    """
    for ifname, networks in undeclared(survey, need):
        for family in families(chain):
            sources = tuple(network for network in networks if network.version == family)
            for uplink in need.uplinks if sources else ():
                if _is_translated(survey, need, family, ifname, uplink, sources):
                    yield need.answer(family, uplink, ifname)


def _is_translated(
    survey: Survey, need: Footprint, family: Family, ifname: str, uplink: str, sources: Sequence[Network]
) -> bool:
    """Does a rule of another tool translate what comes from these networks and leaves by the uplink?"""
    packet = PartialPacket(family, 1, need.device, need.stage, ifname, uplink, "new", sources=tuple(sources))
    return any(
        _translates(rule)
        for chain in survey.ruleset.base_chains("postrouting", type_="nat")
        if family in families(chain)
        for rule, _ in walk(survey.ruleset, chain, packet).met
    )


def _translates(rule: ListedRule) -> bool:
    """nft shows a target of iptables by its name only."""
    return rule.has(*_TRANSLATES) or any(
        isinstance(body, dict) and str(body.get("name", "")).lower() in _TRANSLATES for body in rule.bodies("xt")
    )


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
