"""Uplinks, resolved: the addresses, routers and networks that each has on this host now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.interfaces import UplinkSpec
from nvi_operator.language.model.values import FAMILIES, Address, Family, Network
from nvi_operator.topology.addresses import find_addresses, networks_beside
from nvi_operator.topology.announced import announced
from nvi_operator.topology.delegated import Delegated
from nvi_operator.topology.facts import MOST_ROUTES, Facts, LinkFact
from nvi_operator.topology.health import UNKNOWN
from nvi_operator.topology.interfaces import Uplink, find_interface
from nvi_operator.topology.notes import Note
from nvi_operator.topology.numbers import uplink_table


def resolve_uplinks(spec: GatewaySpec, facts: Facts, delegated: Delegated, note: Note) -> tuple[Uplink, ...]:
    """In order of name. Notes say what each lacks."""
    addresses = find_addresses(spec, facts, delegated.of)
    for text in (*addresses.notes, *addresses.conflicts):
        note(text)
    return tuple(
        _uplink(name, slot, spec, facts, addresses.of[name], delegated, note)
        for slot, name in enumerate(sorted(spec.uplinks), start=1)
    )


def _uplink(
    name: str,
    slot: int,
    spec: GatewaySpec,
    facts: Facts,
    addresses: tuple[Address, ...],
    delegated: Delegated,
    note: Note,
) -> Uplink:
    uplink = spec.uplinks[name]
    interface = find_interface(uplink.interface, facts, note)
    fact = facts.links.get(uplink.interface)
    waits = uplink.next_hop == "auto" or not uplink.translate_to
    if uplink.addresses == "auto" and not addresses and waits:
        own = "has no address now" if fact is None or not fact.addresses else "has no address of its own now"
        note(f"uplink {name}: {uplink.interface} {own}; packets that need one are dropped until it has one")
    beside = networks_beside(addresses, fact)
    next_hops, direct = _routers(name, uplink, facts, addresses, beside, note)
    routed = (*(uplink.routed or ()), *delegated.of.get(name, ()))
    if fact and fact.crowded:
        note(
            f"uplink {name}: main has more than {MOST_ROUTES} networks through {uplink.interface}: those that are "
            "not connected are reached through the uplink's router"
        )
    absent = tuple(_absent(uplink, facts))
    virtual = uplink.virtual_addresses
    for lost in (address for address in absent if address not in virtual):
        note(f"uplink {name}: {lost} is on no interface: what is sent to it does not arrive here")
    known = {item.version for item in (*addresses, *routed)} | set(next_hops) | direct
    return Uplink(
        name=name,
        slot=slot,
        table=uplink_table(spec.numbers.table, slot),
        interface=interface,
        next_hops=next_hops,
        point_to_point=uplink.next_hop is None,
        direct=direct,
        addresses=tuple(addresses),
        on_link=tuple(interface.network for interface in fact.addresses) if fact else (),
        beside=beside,
        wire=fact.routes if fact else (),
        routed=routed,
        translate_to=uplink.translate_to or (),
        default=name in spec.default_uplink.first
        if spec.default_uplink
        else uplink.default or len(spec.uplinks) == 1,
        weight=uplink.weight,
        families=frozenset(family for family in FAMILIES if family in known),
        dynamic=uplink.addresses == "auto" or uplink.next_hop == "auto",
        # Probes have the virtual address as their source: while it is elsewhere they tell nothing.
        health=UNKNOWN if virtual and set(virtual) <= set(absent) else facts.health.uplinks.get(name, UNKNOWN),
        absent=absent,
        virtual=virtual,
        announced=announced(name, uplink, fact, next_hops, note),
        route_mtus=dict(fact.route_mtus) if fact else {},
        clamped_mtus=_path_mtus(fact) if fact and uplink.clamp_mss else {},
    )


def _absent(uplink: UplinkSpec, facts: Facts) -> Iterator[Address]:
    """While the interface itself is absent or down it may have lost them by that."""
    fact = facts.links.get(uplink.interface)
    if fact is None or not fact.up or uplink.addresses == "auto":
        return
    local = {interface.ip for link in facts.links.values() for interface in (*link.addresses, *link.narrow)}
    for address in uplink.addresses:
        if address not in local and not any(address in network for network in uplink.routed or ()):
            yield address


def _routers(
    name: str,
    uplink: UplinkSpec,
    facts: Facts,
    addresses: Sequence[Address],
    beside: Iterable[tuple[Network, Address]],
    note: Note,
) -> tuple[Mapping[Family, str], frozenset[Family]]:
    """The router of each family, as written or as `main` has it, and the families that need none."""
    next_hops: Mapping[Family, str] = {}
    direct: frozenset[Family] = frozenset()
    if uplink.next_hop != "auto":
        next_hops = {hop.version: str(hop) for hop in uplink.next_hop or ()}
    else:
        if fact := facts.links.get(uplink.interface):
            next_hops, direct = _found_routers(name, uplink, fact, beside, note)
        for family in sorted({a.version for a in addresses} - next_hops.keys() - direct):
            note(f"uplink {name}: main has no IPv{family} default route through {uplink.interface} now")
    own = _own_routers(next_hops, facts)
    for family, ifname in own.items():
        note(
            f"uplink {name}: its IPv{family} router {next_hops[family]} is this gateway's own address, on {ifname}: "
            "the kernel takes no such router; renumber one of the networks"
        )
    return {family: hop for family, hop in next_hops.items() if family not in own}, direct


def _found_routers(
    name: str,
    uplink: UplinkSpec,
    fact: LinkFact,
    beside: Iterable[tuple[Network, Address]],
    note: Note,
) -> tuple[Mapping[Family, str], frozenset[Family]]:
    """The default routers in `main`, and the families whose default route needs none.

    Where the addresses are written the router in a network of one of them is it; else the one of the best metric, and
    of one metric the one that advertises itself as preferred.
    """
    written = [network for network, _ in beside] if uplink.addresses != "auto" else []
    found: dict[Family, str] = {}
    for family in FAMILIES:
        routers = [hop for version, hop in fact.next_hops if version == family]
        near = [hop for hop in routers if any(ip_address(hop) in network for network in written)]
        if not routers or (family in fact.direct and not near):
            continue
        found[family] = (near or routers)[0]
        others = [hop for hop in routers if hop != found[family]]
        if others:
            why = "in the network of its address" if near else "of the best metric"
            rest = ", ".join(others[:3])
            note(
                f"uplink {name}: its IPv{family} router is {found[family]} ({why}); {rest} could be as well: "
                "name the one under nextHop"
            )
    return found, fact.direct - found.keys()


def _own_routers(next_hops: Mapping[Family, str], facts: Facts) -> Mapping[Family, str]:
    """Families whose router has an address of this gateway, and the interface that has it.

    Most routers of homes are 192.168.1.1, and so may the gateway be inside."""
    own = {interface.ip: ifname for ifname, fact in facts.links.items() for interface in fact.addresses}
    hops = {family: ip_address(next_hops[family]) for family in sorted(next_hops)}
    return {family: own[hop] for family, hop in hops.items() if hop in own}


def _path_mtus(fact: LinkFact) -> dict[Family, int]:
    """What fits at the beginning of the path: less than the link's MTU where a lease or a router advertises it."""
    routes = dict(fact.route_mtus)
    known = {4: (fact.mtu, routes.get(4)), 6: (fact.mtu, fact.mtu6, routes.get(6))}
    return {family: min(mtus) for family in FAMILIES if (mtus := [mtu for mtu in known[family] if mtu])}
