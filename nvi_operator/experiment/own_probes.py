"""What the gateway itself sends: by the uplink, and with the address, that the spec says. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

from nvi_operator.experiment.places import Places
from nvi_operator.experiment.probe import Expected, PacketProbe, ranges
from nvi_operator.experiment.translation import matches
from nvi_operator.explain.packet import Packet
from nvi_operator.language.model.services import PortRange, Service
from nvi_operator.language.model.values import FAMILIES

LAW = "the gateway itself"
_ANY = {4: ip_address("0.0.0.0"), 6: ip_address("::")}
_TIME = Service("udp", PortRange(123, 123))


def own_probes(places: Places) -> Iterator[PacketProbe]:
    """Probes to a stranger, bound to nothing, in each family that has a way out."""
    for family in FAMILIES:
        far = places.stranger(family)
        if family not in places.topology.families or far is None:
            continue
        packet = replace(places.packet("", _ANY[family], far, _TIME), in_interface=None)
        if (expected := _expected(places, packet)) is not None:
            yield PacketProbe(LAW, f"IPv{family}", f"to the Internet, {far}", packet, expected)


def _expected(places: Places, packet: Packet) -> Expected | None:
    topology = places.topology
    way = topology.default_way(packet.family)
    name = way.own if way else None
    for rule in topology.own_rules(packet.family):
        if not matches(rule.conditions, packet) or any(matches(each, packet) for each in rule.without):
            continue
        if rule.translation is not None or rule.action == "refuse":
            return None  # sourceNat tries these addresses
        name = rule.uplink or name
        break
    if name is None:
        return None
    addresses = (a for a in topology.uplink(name).addresses if a.version == packet.family)
    return Expected(uplinks=frozenset({name}), sources=ranges(addresses))
