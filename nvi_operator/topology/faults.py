"""What of a gateway cannot carry packets now although all of it is applied: interfaces, uplinks, translations.

Or what takes all packets past it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from ipaddress import ip_address

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.nat_entries import Forward
from nvi_operator.language.model.values import FAMILIES, Family, Network
from nvi_operator.topology.interfaces import Interface, Uplink
from nvi_operator.topology.model import Topology


def faults(spec: GatewaySpec, topology: Topology) -> tuple[str, ...]:
    """One text for each part of `spec` that does not work, as far as the host can know."""
    publics = _Publics(topology)
    return (
        *topology.bypassed_by,
        *_inside_faults(topology),
        *_uplink_faults(spec, topology),
        *_forward_faults(spec, topology, publics),
        *_server_faults(topology),
        *_static_faults(topology, publics),
        *_twice_faults(topology),
    )


def interface_state(interface: Interface) -> str:
    """`up`, or why an interface carries nothing."""
    if interface.ifindex is None:
        return "absent"
    if not interface.up:
        return "down"
    return "up" if interface.carrier else "without carrier"


def uplink_state(uplink: Uplink) -> str:
    """`up`, or why an uplink takes no new flows."""
    if (state := interface_state(uplink.interface)) != "up":
        return f"{uplink.interface.ifname} is {state}"
    if not any(uplink.is_usable(family) for family in FAMILIES):
        return uplink.health.reason if _is_refuted(uplink) else f"no {'next hop' if uplink.addresses else 'address'}"
    return "up"


def _is_refuted(uplink: Uplink) -> bool:
    """Do only its probes speak against it?"""
    return uplink.health.state == "down" and any(uplink.is_linked(family) for family in FAMILIES)


def _inside_faults(topology: Topology) -> Iterator[str]:
    for inside in topology.inside_interfaces:
        state = interface_state(inside.interface)
        if state != "up" and inside.interface.ifname not in topology.uplink_ifnames:
            yield f"interface {inside.interface.ifname} is {state}"


def _uplink_faults(spec: GatewaySpec, topology: Topology) -> Iterator[str]:
    for uplink in topology.uplinks:
        if (state := interface_state(uplink.interface)) != "up":
            yield f"uplink {uplink.name}: {uplink.interface.ifname} is {state}"
        elif _is_refuted(uplink):
            yield f"uplink {uplink.name} is down: {uplink.health.reason}"
        elif not any(uplink.is_usable(family) for family in FAMILIES):
            what = "next hop" if uplink.addresses else "address"
            yield f"uplink {uplink.name} has no {what} now"
        else:
            yield from _address_faults(uplink, topology)
            for family in sorted(uplink.families):
                what = "next hop" if uplink.primary(family) else "address"
                if (
                    not uplink.is_usable(family)
                    and _is_expected(spec, uplink, family)
                    and not _routes(uplink, family)
                ):
                    yield f"uplink {uplink.name} has no IPv{family} {what} now"


def _address_faults(uplink: Uplink, topology: Topology) -> Iterator[str]:
    """A gateway on standby has none of its virtual addresses; one that has a part of them answers for half a pair."""
    for address in uplink.absent:
        if address not in uplink.virtual:
            yield f"uplink {uplink.name}: {address} is on no interface"
        elif not topology.is_standby:
            yield f"uplink {uplink.name}: {address} is on another gateway, and other virtual addresses are here"


def _is_expected(spec: GatewaySpec, uplink: Uplink, family: Family) -> bool:
    """An interface often has IPv6 addresses that lead nowhere: one that was found is no promise of a router."""
    return family == 4 or family in uplink.next_hops or spec.uplinks[uplink.name].addresses != "auto"


def _routes(uplink: Uplink, family: Family) -> bool:
    """An ISP may give a router link-local addresses alone, and route a prefix to it."""
    there = uplink.primary(family) is None and any(network.version == family for network in uplink.routed)
    return there and _carries(uplink, family)


def _forward_faults(spec: GatewaySpec, topology: Topology, publics: _Publics) -> Iterator[str]:
    """Forwards of which no public address is on a usable uplink, and those that a lease has displaced."""
    suppressed_forwards = frozenset(topology.suppressed_forwards)
    for name in sorted(spec.forwards):
        if name in suppressed_forwards:
            yield f"forward {name}: another forward has its public port on an uplink's address"
        elif not publics.are_usable(spec.forwards[name]):
            yield f"forward {name}: no uplink that it is published on works"


def _server_faults(topology: Topology) -> Iterator[str]:
    for server in topology.servers:
        if server.health.state == "down":
            stays = "; it takes flows all the same, because none works" if server.takes_flows else ""
            yield f"forward {server.forward}: server {server.target} is down: {server.health.reason}{stays}"


def _static_faults(topology: Topology, publics: _Publics) -> Iterator[str]:
    """1:1 NAT of which no public address is on a usable uplink."""
    usable: dict[str, bool] = {}
    for entry in topology.statics:
        usable[entry.name] = usable.get(entry.name, False) or publics.carry(entry.mapped)
    for name, works in usable.items():
        if not works:
            yield f"static {name}: no uplink that its addresses belong to works"


def _twice_faults(topology: Topology) -> Iterator[str]:
    """Twice NAT through an uplink that is usable in none of the families."""
    uplinks = {entry.name: entry.uplink for entry in topology.twice}
    works = {entry.name for entry in topology.twice if _carries(topology.uplink(entry.uplink), entry.real.version)}
    for name, uplink in uplinks.items():
        if name not in works:
            yield f"twiceNat {name}: uplink {uplink} does not work"


class _Publics:
    """Which public addresses can be reached now. Many forwards share theirs, so each is looked at once."""

    def __init__(self, topology: Topology) -> None:
        self._uplinks = {uplink.name: uplink for uplink in topology.uplinks}
        # By prefix length, because a spec may have a public address for each of 100,000 forwards.
        self._carried: dict[tuple[Family, int], set[int]] = {}
        self._dead: dict[tuple[Family, int], set[int]] = {}
        for family in FAMILIES:
            for uplink in topology.uplinks:
                where = self._carried if _carries(uplink, family) else self._dead
                for network in uplink.sources(family):
                    shift = network.max_prefixlen - network.prefixlen
                    where.setdefault((family, shift), set()).add(int(network.network_address) >> shift)
        self._known: dict[tuple[tuple[str, ...] | None, Family], bool] = {}

    def are_usable(self, forward: Forward) -> bool:
        return any(self._are_usable(forward.at, target.address.version) for target in forward.to)

    def _are_usable(self, at: tuple[str, ...] | None, family: Family) -> bool:
        if (at, family) not in self._known:
            self._known[at, family] = any(self._is_usable(place, family) for place in at or self._uplinks)
        return self._known[at, family]

    def _is_usable(self, place: str, family: Family) -> bool:
        if place in self._uplinks:
            return self._uplinks[place].is_usable(family)
        address = ip_address(place)
        return address.version == family and _is_in(self._carried, family, int(address))

    def carry(self, mapped: Network) -> bool:
        """Can it be reached? What belongs to no uplink is known inside only, and needs none."""
        number = int(mapped.network_address)
        return _is_in(self._carried, mapped.version, number) or not _is_in(self._dead, mapped.version, number)


def _is_in(networks: Mapping[tuple[Family, int], Set[int]], family: Family, number: int) -> bool:
    return any(number >> shift in heads for (of, shift), heads in networks.items() if of == family)


def _carries(uplink: Uplink, family: Family) -> bool:
    """A routed address needs no address of the uplink itself."""
    has_way = uplink.is_direct(family) or family in uplink.next_hops
    return interface_state(uplink.interface) == "up" and has_way
