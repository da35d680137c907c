"""Gateways of which it is known without a walk that packets go as they should.

Most are: uplinks, rules of sourceNat, forwards to hosts of declared networks. What may lead a packet elsewhere is
named here, and a gateway that has any of it is walked. `tests/property/test_invariants.py` walks plain ones as well.
"""

from __future__ import annotations

from nvi_operator.invariants.gateway import ResolvedGateway
from nvi_operator.language.check.addresses import Cover
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.topology.model import Topology


def is_plain(gateway: ResolvedGateway) -> bool:
    """May the walks of what it does be left out?"""
    return not gateway.foreign_rules and _is_plain_spec(gateway.spec) and _is_plain_host(gateway.topology)


def _is_plain_spec(spec: GatewaySpec) -> bool:
    if spec.assert_ or spec.routes or spec.twice_nat or spec.prefix_nat or spec.redirects:
        return False
    if spec.guards.anti_spoof != "local" or spec.dataplane.ipsec or spec.dataplane.keep_marks:
        return False
    if any(i.tenant or i.delegated or i.known_as for i in spec.interfaces.values()):
        return False
    if any(u.delegated for u in spec.uplinks.values()):
        return False
    if any(static.to or static.in_ or static.nptv6 for static in spec.static.values()):
        return False
    if any(rule.in_ or rule.as_.unchanged for rule in spec.source_nat):
        return False
    inside = Cover(network for interface in spec.interfaces.values() for network in interface.networks)
    return all(inside.holds(t.address, t.address) for forward in spec.forwards.values() for t in forward.to)


def _is_plain_host(topology: Topology) -> bool:
    """Are all interfaces there and apart, and does every uplink work?"""
    wires = [uplink.interface.ifname for uplink in topology.uplinks]
    inside = [each.interface for each in topology.inside_interfaces]
    if len(set(wires)) < len(wires) or any(i.ifname in wires for i in inside) or not all(i.up for i in inside):
        return False
    if topology.displaced or topology.honoured or topology.suppressed_forwards or topology.ambiguous_publics:
        return False
    return all(u.is_linked(family) and not u.far for u in topology.uplinks for family in u.families)
