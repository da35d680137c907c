"""The routing of this network namespace beside the gateway's own: FIB rules, and routes to a few addresses.

`main` may hold the routes of the whole internet: only those are parsed that may cover one of the addresses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_network

from nvi_operator.explain.step import HostRoute
from nvi_operator.kernel.drivers.fib_rule import list_rules
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.inspect.host_routes import routes_in
from nvi_operator.kernel.inspect.next_hop_objects import read_next_hop_objects
from nvi_operator.kernel.netlink.route_messages import (
    GET,
    HEADER,
    LENGTH_AT,
    PROTOCOL_AT,
    REFUSING,
    TYPE_AT,
    UNICAST,
    is_cached,
)
from nvi_operator.kernel.netlink.rtnetlink import AF, Rtnetlink
from nvi_operator.language.model.values import Address
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.facts import LinkFact


def read_other_routing(
    addresses: Collection[Address], links: Mapping[str, LinkFact], protocol: int
) -> tuple[tuple[FibRule, ...], tuple[HostRoute, ...]]:
    """`protocol` is the gateway's: what has it is left out. Raises KernelError."""
    names = {link.ifindex: name for name, link in links.items()} | {1: "lo"}
    with Rtnetlink() as rtnetlink:
        rules = [listed.rule for listed in list_rules(rtnetlink, lambda _: True) if listed.protocol != protocol]
        routes: list[HostRoute] = []
        with kernel_errors("routes of others: listing"):
            objects = read_next_hop_objects(rtnetlink)
            for family, af in AF.items():
                asked = [address for address in addresses if address.version == family]
                covers = _Covering(asked, protocol)
                for body in rtnetlink.dump(GET, HEADER.pack(af, *bytes(7), 0), covers) if asked else ():
                    routes += routes_in(family, body, names, objects)
    return tuple(rules), tuple(routes)


class _Covering:
    """May the route cover one of the addresses? Whoever is not sure says yes."""

    def __init__(self, addresses: Collection[Address], protocol: int) -> None:
        self._protocol = protocol
        self._networks: dict[int, frozenset[bytes]] = {}
        for length in range(129):
            covering = (ip_network((each, min(length, each.max_prefixlen)), strict=False) for each in addresses)
            self._networks[length] = frozenset(network.network_address.packed for network in covering)

    def __call__(self, body: bytes) -> bool:
        if body[PROTOCOL_AT] == self._protocol or body[TYPE_AT] not in (UNICAST, *REFUSING):
            return False
        if is_cached(body):
            return False
        length = body[LENGTH_AT]
        return not length or any(packed in body for packed in self._networks[length])
