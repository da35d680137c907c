"""Inside interfaces and tenants, resolved. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import Address, Network
from nvi_operator.topology.facts import Facts, LinkFact
from nvi_operator.topology.interfaces import Inside, Tenant, find_interface
from nvi_operator.topology.notes import Note
from nvi_operator.topology.numbers import tenant_table


def resolve_tenants(spec: GatewaySpec) -> dict[str, Tenant]:
    """By name, and numbered in this order."""
    names = sorted({i.tenant for i in spec.interfaces.values() if i.tenant})
    first = spec.numbers.table
    return {name: Tenant(name, number, tenant_table(first, number)) for number, name in enumerate(names, start=1)}


def resolve_inside(
    spec: GatewaySpec,
    facts: Facts,
    tenants: Mapping[str, Tenant],
    delegated: Mapping[str, tuple[Network, ...]],
    note: Note,
) -> tuple[Inside, ...]:
    """In order of name. `delegated`: the networks of each interface that an ISP delegates."""
    inside_interfaces = tuple(
        Inside(
            find_interface(ifname, facts, note),
            (*interface.networks, *delegated[ifname]),
            tenants[interface.tenant].number if interface.tenant else 0,
            delegated[ifname],
            frozenset(_shared(facts.links.get(ifname))),
        )
        for ifname, interface in sorted(spec.interfaces.items())
    )
    _name_those_among_uplinks(spec, facts, note)
    return inside_interfaces


def _shared(link: LinkFact | None) -> Iterator[Address]:
    """Broadcast addresses, and IPv6's of all routers of a network (RFC 4291, 2.6.1): what is sent there stops at the
    gateway itself. The lowest address of an IPv4 network may be a host's since Linux 5.14.
    """
    for own in link.addresses if link else ():
        if own.version == 4 and own.network.prefixlen <= 30:
            yield own.network.broadcast_address
        elif own.version == 6 and own.network.prefixlen <= 126:
            yield own.network.network_address


def _name_those_among_uplinks(spec: GatewaySpec, facts: Facts, note: Note) -> None:
    """The group is not corrected: only the owner of the interface knows which one it should have."""
    uplinks = {uplink.interface for uplink in spec.uplinks.values()}
    for ifname in sorted(spec.interfaces.keys() - uplinks):
        link = facts.links.get(ifname)
        if link is not None and link.group == spec.numbers.link_group:
            note(
                f"{ifname}: is in link group {link.group}, that of the uplinks, so that nothing is sent to the "
                f"networks behind it; ip link set {ifname} group default"
            )
