"""Which addresses an uplink has now, and which of them new flows get. Pure.

`auto` takes every address that is on the interface and belongs to no other uplink. New flows get the best of each
family, by the order of RFC 6724 as far as it can be told: one that is not fading (deprecated, temporary), of IPv6 a
global before a unique-local one, one in the network of the router, of IPv4 a public before a private one. The others
stay the uplink's: their flows go on, and what bears them leaves by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from types import MappingProxyType

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.interfaces import UplinkSpec
from nvi_operator.language.model.values import FAMILIES, Address, Family, Network, within
from nvi_operator.topology.facts import Facts, InterfaceAddress, LinkFact
from nvi_operator.topology.notes import Note

_UNIQUE_LOCAL = ip_network("fc00::/7")


NONE_DELEGATED: Mapping[str, Sequence[Network]] = MappingProxyType({})


@dataclass(frozen=True)
class UplinkAddresses:
    """The addresses of each uplink by name, the best of each family first. `notes` name what else could have been
    chosen, `conflicts` what cannot work."""

    of: Mapping[str, tuple[Address, ...]]
    notes: tuple[str, ...]
    conflicts: tuple[str, ...]


def find_addresses(
    spec: GatewaySpec, facts: Facts, delegated: Mapping[str, Sequence[Network]] = NONE_DELEGATED
) -> UplinkAddresses:
    """Written ones, and what `auto` finds. An address that two would have belongs to one: packets follow it.

    `delegated`: the prefixes of each uplink by name, which are routed to it.
    """
    notes: list[str] = []
    conflicts: list[str] = []
    autos = {name: uplink for name, uplink in spec.uplinks.items() if uplink.addresses == "auto"}
    found = {name: _written(uplink) for name, uplink in spec.uplinks.items() if name not in autos}
    for name in sorted(autos, key=lambda name: (not autos[name].default, name)):
        fact = facts.links.get(autos[name].interface)
        own: list[InterfaceAddress] = []
        for interface in fact.addresses if fact else ():
            owner = _owner(interface.ip, name, spec, found, delegated)
            if owner is None:
                own.append(interface)
            elif interface.ip not in _written(spec.uplinks[owner]) or not _share(spec, name, owner):
                conflicts.append(
                    f"uplink {name}: {interface.ip} on {autos[name].interface} is an address of uplink {owner} as "
                    f"well, and packets follow their source: {name} does without it; renumber one of the networks"
                )
        found[name] = _in_order(name, autos[name], own, fact, notes.append) if fact else ()
    conflicts += _same_networks(spec, facts)
    return UplinkAddresses(found, tuple(notes), tuple(conflicts))


def _written(uplink: UplinkSpec) -> tuple[Address, ...]:
    return () if uplink.addresses == "auto" else uplink.addresses


def _share(spec: GatewaySpec, one: str, other: str) -> bool:
    return spec.uplinks[one].interface == spec.uplinks[other].interface


def _owner(
    address: Address,
    name: str,
    spec: GatewaySpec,
    found: Mapping[str, Sequence[Address]],
    delegated: Mapping[str, Sequence[Network]],
) -> str | None:
    """Another uplink that has it, or to which its prefix is routed."""
    for other, uplink in sorted(spec.uplinks.items()):
        routed = any(address in network for network in (*(uplink.routed or ()), *delegated.get(other, ())))
        if other != name and (address in found.get(other, ()) or routed):
            return other
    return None


def _same_networks(spec: GatewaySpec, facts: Facts) -> Iterable[str]:
    """A lease may have the numbers of an inside network: most routers of homes hand out 192.168.1.0/24.

    What is routed to the gateway is on no wire of the uplink, though its network may contain it.
    """
    far = {spec.uplinks[twice.via].interface for twice in spec.twice_nat.values()}
    inside_networks = [
        (n, ifname) for ifname, i in sorted(spec.interfaces.items()) if not i.tenant for n in i.networks
    ]
    for name, uplink in sorted(spec.uplinks.items()):
        fact = facts.links.get(uplink.interface)
        if fact is None or uplink.interface in far:
            continue
        for interface in fact.addresses:
            for network, ifname in inside_networks:
                routed = any(within(network, prefix) for prefix in uplink.routed or ())
                if within(network, interface.network) and not routed:
                    yield (
                        f"uplink {name}: {interface} is on {uplink.interface}, and {network} is a network of "
                        f"{ifname}: a host with an address of both is taken for an inside one; renumber one of them"
                    )


# --------------------------------------------------------------------------- the choice


def _in_order(
    name: str, uplink: UplinkSpec, own: Sequence[InterfaceAddress], fact: LinkFact, note: Note
) -> tuple[Address, ...]:
    ordered: list[Address] = []
    for family in FAMILIES:
        of_family = [interface for interface in own if interface.version == family]
        router = _router(uplink, fact, family)
        ranked = sorted(of_family, key=lambda interface: _rank(interface, fact, router))
        ordered += dict.fromkeys(interface.ip for interface in ranked)
        if not ranked or any(address.version == family for address in uplink.translate_to or ()):
            continue
        best, *others = ranked
        if best.ip in fact.fading:
            note(f"uplink {name}: {best.ip} is deprecated or temporary; new flows get it for want of another")
            continue
        usable = [interface for interface in others if interface.ip not in fact.fading]
        if usable:
            why = _why(_rank(best, fact, router), _rank(usable[0], fact, router))
            rest = ", ".join(str(interface.ip) for interface in usable[:3]) + (", ..." if usable[3:] else "")
            note(
                f"uplink {name}: its IPv{family} address is {best.ip} ({why}); {rest} on {uplink.interface} could be "
                "as well: name the one under addresses"
            )
    return tuple(ordered)


_REASONS = ("the others are deprecated", "global", "in the network of its router", "public")


def _rank(interface: InterfaceAddress, fact: LinkFact, router: Address | None) -> tuple[bool, bool, bool, bool]:
    """The least is the best; see _REASONS."""
    return (
        interface.ip in fact.fading,
        interface.ip in _UNIQUE_LOCAL,
        router is not None and router not in interface.network,
        interface.version == 4 and not interface.ip.is_global,
    )


def _why(best: tuple[bool, ...], other: tuple[bool, ...]) -> str:
    reasons = (reason for reason, mine, theirs in zip(_REASONS, best, other, strict=True) if mine != theirs)
    return next(reasons, "the kernel lists it first")


def _router(uplink: UplinkSpec, fact: LinkFact, family: Family) -> Address | None:
    """Of IPv6 it is mostly link-local, and tells nothing."""
    if isinstance(uplink.next_hop, tuple):
        found = next((hop for hop in uplink.next_hop if hop.version == family), None)
    elif uplink.next_hop == "auto" and family not in fact.direct:
        hop = next((hop for version, hop in fact.next_hops if version == family), None)
        found = ip_address(hop) if hop else None
    else:
        found = None
    return None if found is None or found.version != family or found.is_link_local else found


def networks_beside(own: Iterable[Address], fact: LinkFact | None) -> tuple[tuple[Network, Address], ...]:
    """The networks on the wire, each with the address that a host there can answer: the one in it."""
    found: dict[Network, Address] = {}
    by_address = {interface.ip: interface for interface in fact.addresses} if fact else {}
    for address in own:
        interface = by_address.get(address)
        if interface is not None and 0 < interface.network.prefixlen < interface.max_prefixlen:
            found.setdefault(interface.network, address)
    return tuple(found.items())
