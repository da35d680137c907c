"""1:1 NAT, resolved: entries of one family, without what is excepted from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network

from nvi_operator.language.model.nat_entries import Static
from nvi_operator.language.model.one_to_one import pieces
from nvi_operator.language.model.values import Network, within
from nvi_operator.topology.interfaces import Inside, Tenant, Uplink
from nvi_operator.topology.notes import Note
from nvi_operator.topology.rules import StaticEntry


def resolve_static(
    statics: Mapping[str, Static],
    uplinks: Sequence[Uplink],
    inside_interfaces: Sequence[Inside],
    tenants: Mapping[str, Tenant],
    note: Note,
) -> tuple[StaticEntry, ...]:
    """By name, IPv4 before IPv6. What an uplink has on its interface stays the gateway's where a prefix covers it."""
    own = [(ip_network(address), uplink.name) for uplink in uplinks for address in uplink.addresses]
    declared = [network for inside in inside_interfaces for network in inside.networks]
    return tuple(
        entry
        for name in sorted(statics)
        for entry in _entries(name, statics[name], own, declared, inside_interfaces, tenants, note)
    )


def _entries(
    name: str,
    static: Static,
    own: Sequence[tuple[Network, str]],
    declared: Sequence[Network],
    inside_interfaces: Sequence[Inside],
    tenants: Mapping[str, Tenant],
    note: Note,
) -> Iterator[StaticEntry]:
    tenant = tenants[static.tenant].number if static.tenant else 0
    for mapped in static.as_:
        for address, uplink in own if mapped.num_addresses > 1 else ():
            if within(address, mapped):
                note(f"static {name}: {address.network_address} is the address of uplink {uplink} and stays its own")
    for real, mapped in pieces(static, [address for address, _ in own], declared):
        far = tuple(network for network in static.to or () if network.version == real.version)
        askers = tuple(
            i for i in inside_interfaces if i.interface.ifname in (static.in_ or ()) and i.of_family(real.version)
        )
        if (far or not static.to) and (askers or not static.in_):
            yield StaticEntry(name, real, mapped, tenant, far, askers)
