"""Which ways a change would take from the gateway: to what it must go on reaching, and of sessions with it."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

from nvi_operator.explain.exchange import Exchange, asked, cut
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.own_route import Protected, cut_off, own_way
from nvi_operator.explain.packet import TCP, Packet
from nvi_operator.explain.routing import Router
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.kernel.inspect.other_routes import read_other_routing
from nvi_operator.language.model.values import FAMILIES, Address, in_any
from nvi_operator.plan.change import Plan
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.lockout import Session
from nvi_operator.topology.model import Topology


def lost_ways(
    plan: Plan,
    topology: Topology,
    facts: Facts,
    protocol: int,
    protected: Collection[Protected],
    sessions: Collection[Session],
) -> list[str]:
    """What is lost by routes or, where these tell of no loss, by what becomes of an answer and of what comes in."""
    addresses = {address for each in protected for address in each.addresses}
    addresses |= {ip_address(session.peer) for session in sessions}
    rules, routes = read_other_routing(addresses, facts.links, protocol)
    known = [rule for rule in rules if not rule.other]  # by user, tunnel: they are passed over
    before, after = (
        machine_of(topology, state, facts, routes=routes, rules=known) for state in (plan.before, plan.after)
    )
    found = list(cut_off(before, after, protected))
    if not found and _may_be_dropped(topology, addresses):
        asks = (asked(each.packet(each.addresses[0]), each.addresses, each.port or 443) for each in protected)
        found += cut(before, after, (*asks, *(_of_session(each, before, facts) for each in sessions)))
    return found


def _may_be_dropped(topology: Topology, addresses: Collection[Address]) -> bool:
    """Is anything known of one of them? A walk among 100,000 forwards takes half a second."""
    if topology.guards.anti_spoof == "strict":
        return True
    known = [network for family in FAMILIES for network in (*topology.inside_networks(family), *topology.far(family))]
    known += [network for uplink in topology.uplinks for network in uplink.routed]
    return any(in_any(address, known) for address in addresses)


def _of_session(session: Session, machine: Machine, facts: Facts) -> Exchange:
    """Its packets come in where answers leave, or where the address is that they ask."""
    peer, local = ip_address(session.peer), ip_address(session.local)
    way = own_way(Router(machine), peer, session.peer_port).dev
    has = (name for name, link in facts.links.items() if any(address.ip == local for address in link.addresses))
    ways = dict.fromkeys(name for name in (way, *has) if name in facts.links)
    return Exchange(
        str(session), tuple(Packet(name, TCP, peer, local, session.peer_port, session.port) for name in ways)
    )
