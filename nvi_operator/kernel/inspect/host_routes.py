"""Routes of this network namespace beside the gateway's own, for a walk of packets: `main`, and tables of others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network

from nvi_operator.explain.step import HostRoute, Refusing
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.inspect.next_hop_objects import read_next_hop_objects
from nvi_operator.kernel.netlink.route_messages import (
    DST,
    GET,
    HEADER,
    LENGTH_AT,
    PRIORITY,
    PROTOCOL_AT,
    SOURCE,
    TABLE,
    TABLE_AT,
    TYPE_AT,
    UNICAST,
    NextHopObjects,
    is_cached,
    next_hops,
)
from nvi_operator.kernel.netlink.rtnetlink import AF, Rtnetlink, shown_number, shown_prefix
from nvi_operator.language.model.values import Family
from nvi_operator.nft.wire.attributes import attributes
from nvi_operator.topology.facts import LinkFact
from nvi_operator.topology.numbers import LOCAL
from nvi_operator.topology.prefixes import ANY

MOST = 20_000  # routes: a router of the internet has a million, and a walk then goes by what the facts tell of them

_REFUSING: Mapping[int, Refusing] = {6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}  # RTN_*


def read_host_routes(links: Mapping[str, LinkFact], protocol: int) -> tuple[HostRoute, ...] | None:
    """`protocol` is the gateway's: what has it is left out. None: there are more than MOST. Raises KernelError."""
    names = {link.ifindex: name for name, link in links.items()} | {1: "lo"}
    found: list[HostRoute] = []
    with Rtnetlink() as rtnetlink, kernel_errors("routes: listing"):
        objects = read_next_hop_objects(rtnetlink)
        for family, af in AF.items():
            for body in rtnetlink.dump(GET, HEADER.pack(af, *bytes(7), 0), lambda body: _counts(body, protocol)):
                found += routes_in(family, body, names, objects)
                if len(found) > MOST:
                    return None
    return tuple(found)


def _counts(body: bytes, protocol: int) -> bool:
    if body[PROTOCOL_AT] == protocol or body[TABLE_AT] == LOCAL or is_cached(body):
        return False
    return body[TYPE_AT] == UNICAST or body[TYPE_AT] in _REFUSING


def routes_in(family: Family, body: bytes, names: Mapping[int, str], objects: NextHopObjects) -> Iterator[HostRoute]:
    """The route of a message, once for each next hop."""
    attrs = dict(attributes(body[HEADER.size :]))
    network = ip_network(shown_prefix(attrs.get(DST), body[LENGTH_AT]) or ANY[family])
    table = shown_number(attrs.get(TABLE)) or body[TABLE_AT]
    metric = shown_number(attrs.get(PRIORITY)) or 0
    refuses = _REFUSING.get(body[TYPE_AT])
    if refuses is not None:
        yield HostRoute(network, metric=metric, table=table, refuses=refuses)
        return
    source = ip_address(attrs[SOURCE]) if SOURCE in attrs else None
    hops = list(next_hops(attrs, objects))
    for oif, gateway in hops:
        via = ip_address(gateway) if gateway else None
        dev = names.get(oif or 0, f"interface {oif}")
        yield HostRoute(network, dev, via, metric, table, source, shared=len(hops) > 1)
