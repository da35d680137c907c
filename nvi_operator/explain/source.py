"""The source of what the gateway itself sends, where no program has bound it to an address.

Source: ip_route_output_key_hash_rcu(), inet_select_addr(), ip6_route_get_saddr(), ipv6_dev_get_saddr(), Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address

from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import TCP
from nvi_operator.explain.passing import Passing
from nvi_operator.explain.routing import FibResult
from nvi_operator.explain.spans import Spans
from nvi_operator.explain.step import HostRoute
from nvi_operator.explain.verdict import Refused
from nvi_operator.kinds.route import Route
from nvi_operator.language.model.values import Address

_Routed = Callable[[Passing, str | None], list[tuple[Passing, FibResult]]]


def own_ways(
    machine: Machine, routed: _Routed, passing: Passing, bound: str | None
) -> Iterator[tuple[Passing, FibResult]]:
    """The parts of the class, each with its way, and with a source where it had none (0.0.0.0 or ::)."""
    unbound, rest = passing.split(passing.now["source"], Spans.one(0))
    if rest is not None:
        yield from routed(rest, bound)
    for part, way in routed(unbound, bound) if unbound is not None else ():
        if way.refused is not None:
            yield from _second_try(machine, routed, part, way, bound)
            continue
        for made in _with_source(machine, part, way):
            # What connects looks for its way again with the source that it got (ip_route_connect()), and so does an
            # error of IPv6.
            connects = made.protocols == {TCP} or _asker(made) is not None
            yield from routed(made, bound) if connects and made is not part else [(made, way)]


def _second_try(
    machine: Machine, routed: _Routed, passing: Passing, way: FibResult, bound: str | None
) -> Iterator[tuple[Passing, FibResult]]:
    """IPv6 looks again with the source that suits the destination best (ip6_dst_lookup_tail())."""
    if passing.family == 6 and isinstance(way.refused, Refused):
        for made in _with_source(machine, passing, FibResult()):
            yield from routed(made, bound)
    else:
        yield passing, way


def _with_source(machine: Machine, passing: Passing, way: FibResult) -> Iterator[Passing]:
    if way.local:
        yield from _local(machine, passing)
        return
    route = way.by[-1] if way.by else None
    source = route.source if isinstance(route, Route | HostRoute) else None
    found = ip_address(str(source)) if source is not None else _of_interface(machine, passing, way)
    if found is None:
        yield passing
        return
    made, term = passing.fresh("source", Spans.one(int(found)))
    made = made.with_now(source=term)
    yield made.noted("routing", "chosen", route, changes=(("source", None, made.shown("source")),))


def _local(machine: Machine, passing: Passing) -> Iterator[Passing]:
    """To itself it speaks as who is asked; as the first address of an IPv4 network for a further one in it."""
    rest: Passing | None = passing
    for interface in machine.interfaces.values():
        first: dict[object, int] = {}
        for address in interface.addresses if passing.family == 4 else ():
            primary = first.setdefault(address.network, int(address.ip))
            if rest is not None and primary != int(address.ip):
                further, rest = rest.split(rest.now["destination"], Spans.one(int(address.ip)))
                if further is not None:
                    made, term = further.fresh("source", Spans.one(primary))
                    yield made.with_now(source=term)
    for network, own in _anycast(machine) if passing.family == 6 else ():
        if rest is not None:
            asked, rest = rest.split(rest.now["destination"], Spans.one(network))
            if asked is not None:
                made, term = asked.fresh("source", Spans.one(own))
                yield made.with_now(source=term)
    if rest is not None:
        yield rest.with_now(source=rest.now["destination"])


def _anycast(machine: Machine) -> Iterator[tuple[int, int]]:
    """The first address of each IPv6 network, which is no source, and the gateway's own address there."""
    for interface in machine.interfaces.values():
        for address in interface.addresses:
            if address.version == 6 and address.network.prefixlen < 127 and address.ip != address.network[0]:
                yield int(address.network[0]), int(address.ip)


def _asker(passing: Passing) -> str | None:
    """Of an IPv6 error the interface by which the packet came in that it is about: the address there is the source of
    the error, where no route has one (icmp6_send()).
    """
    if not passing.is_error or passing.family == 4:
        return None
    return next(iter(passing.region.in_interfaces), None)


def _of_interface(machine: Machine, passing: Passing, way: FibResult) -> Address | None:
    interface = machine.interfaces.get(_asker(passing) or way.dev or "")
    mine = [a for a in interface.addresses if a.version == passing.family] if interface else []
    if not mine:  # then of any other
        others = sorted(machine.interfaces.values(), key=lambda other: other.ifindex)
        mine = [a for other in others for a in other.addresses if a.version == passing.family and not a.is_loopback]
    if not mine:
        return None
    if passing.family == 4:
        beside = [a for a in mine if way.via is not None and way.via in a.network]
        return (beside or mine)[0].ip
    asked = passing.space.values(passing.now["destination"]).first
    for other in machine.interfaces.values():
        for address in other.addresses:
            if address.version == 6 and int(address.ip) == asked:
                return address.ip  # RFC 6724, rule 1, wherever the address is
    return max(mine, key=lambda a: _common(int(a.ip), asked, a.network.prefixlen)).ip


def _common(one: int, other: int, most: int) -> int:
    """Leading bits in common, of those that are the network's (RFC 6724, rule 8)."""
    return min(128 - (one ^ other).bit_length(), most)
