"""Public addresses that are on no interface, and that neighbours on an uplink's wire ask for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address

from nvi_operator.language.model.interfaces import UplinkSpec
from nvi_operator.language.model.values import Address, Family, Network, within
from nvi_operator.topology.facts import LinkFact
from nvi_operator.topology.notes import Note
from nvi_operator.topology.numbers import MAX_ANNOUNCED


def announced(
    name: str, uplink: UplinkSpec, fact: LinkFact | None, next_hops: Mapping[Family, str], note: Note
) -> tuple[Address, ...]:
    """`announce: true` means those of `routed` that are in a network of the interface: the others are routed here."""
    if fact is None or not uplink.announce:
        return ()
    if fact.mac is None:
        note(f"uplink {name}: announce: {uplink.interface} has no hardware addresses: its wire asks for none")
        return ()
    on_link = [interface.network for interface in fact.addresses]
    parts = uplink.announce if isinstance(uplink.announce, tuple) else tuple(_shared(uplink.routed or (), on_link))
    if not parts:
        note(f"uplink {name}: announce: nothing of routed is in a network of {uplink.interface} now")
    if (count := sum(network.num_addresses for network in parts)) > MAX_ANNOUNCED:
        note(
            f"uplink {name}: announce: {count} addresses of routed are in networks of {uplink.interface}: none is "
            f"announced, because at most {MAX_ANNOUNCED} can be; name those that are used"
        )
        return ()
    taken = {interface.ip for interface in fact.addresses} | {ip_address(hop) for hop in next_hops.values()}
    for network in on_link:
        if network.version == 4 and network.num_addresses > 2:
            taken |= {network.network_address, network.broadcast_address}
    return tuple(address for network in parts for address in network if address not in taken)


def _shared(routed: Sequence[Network], on_link: Sequence[Network]) -> Iterator[Network]:
    for network in routed:
        if any(within(network, wire) for wire in on_link):
            yield network
