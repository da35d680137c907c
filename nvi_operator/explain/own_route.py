"""Where what the gateway itself sends to an address leads: FIB rules and routes, as the kernel asks them. Pure.

For a socket that is bound to nothing, as those of ssh and git are: no source, no interface, no mark. Rules of others
that match by more than this module knows (a user, a tunnel) are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from nvi_operator.explain.step import HostRoute
from nvi_operator.kinds.link_group import LinkGroup
from nvi_operator.kinds.route import Route
from nvi_operator.language.model.values import Address
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState


@dataclass(frozen=True)
class Routing:
    """`rules` in the kernel's order, `routes` of every table, and the groups of interfaces by name."""

    rules: tuple[FibRule, ...]
    routes: tuple[HostRoute, ...]
    groups: Mapping[str, int]

    def plus(self, owned: HostState) -> Routing:
        """With the gateway's own objects as well."""
        rules = [rule for rule in owned.of_kind("fib-rule") if isinstance(rule, FibRule)]
        routes = [_plain(route) for route in owned.of_kind("route") if isinstance(route, Route)]
        groups = {each.ifname: each.group for each in owned.of_kind("link-group") if isinstance(each, LinkGroup)}
        return Routing(
            tuple(sorted((*self.rules, *rules), key=lambda rule: rule.priority)),
            (*self.routes, *routes),
            {**self.groups, **groups},
        )


@dataclass(frozen=True)
class Way:
    """`dev` None: the packet is refused. `by` is the rule or the route that decided; None: there is no route."""

    dev: str | None
    by: FibRule | HostRoute | None


def own_way(routing: Routing, to: Address, port: int | None, protocol: str = "tcp") -> Way:
    """`port` None: none is known, and rules about ports do not match."""
    covering = [r for r in routing.routes if r.destination.version == to.version and to in r.destination]
    after = 0  # the priority that a `goto` leads to
    for rule in routing.rules:
        if rule.priority < after or not _matches(rule, to, port, protocol) or rule.action == "nop":
            continue
        if rule.action == "goto":
            after = rule.goto or 0
            continue
        if rule.action != "lookup":
            return Way(None, rule)
        found = min((route for route in covering if route.table == rule.table), key=_best, default=None)
        if found is not None and not _suppressed(rule, found, routing.groups):
            return Way(found.dev, found)
    return Way(None, None)


def _best(route: HostRoute) -> tuple[int, int]:
    return -route.destination.prefixlen, route.metric


def _matches(rule: FibRule, to: Address, port: int | None, protocol: str) -> bool:
    if rule.family != to.version or rule.other or rule.oif or rule.iif not in (None, "lo") or rule.source_ports:
        return False
    if rule.protocol not in (None, protocol):
        return False
    if (ports := rule.destination_ports) and (port is None or not ports[0] <= port <= ports[1]):
        return False
    fits = not rule.source and not (rule.mark or 0) & (rule.mask or 0)
    fits = fits and (rule.destination is None or to in ip_network(rule.destination))
    return fits is not rule.inverted


def _suppressed(rule: FibRule, route: HostRoute, groups: Mapping[str, int]) -> bool:
    """fib4_rule_suppress() and fib6_rule_suppress(), Linux 6.18: the rule is as if it had found nothing."""
    shortest, group = rule.suppress_prefix_length, rule.suppress_group
    if shortest is not None and route.destination.prefixlen <= shortest:
        return True
    return group is not None and route.dev is not None and groups.get(route.dev, 0) == group


def _plain(route: Route) -> HostRoute:
    return HostRoute(
        ip_network(route.destination),
        route.dev,
        ip_address(route.via) if route.via else None,
        route.metric,
        route.table,
        ip_address(route.source) if route.source else None,
    )


@dataclass(frozen=True)
class Protected:
    """What the gateway must go on reaching: one of `addresses`, at `port` where one is known."""

    what: str  # `the git remote git.example.net`
    addresses: tuple[Address, ...]
    port: int | None = None


def cut_off(before: Routing, after: Routing, protected: Iterable[Protected]) -> Iterator[str]:
    """The packet that would be lost, and by what, of each that is reached now. Another way is no loss."""
    for each in protected:
        now = [address for address in each.addresses if own_way(before, address, each.port).dev]
        ways = {address: own_way(after, address, each.port) for address in now}
        if ways and not any(way.dev for way in ways.values()):
            address, way = next(iter(ways.items()))
            yield f"{_packet(address, each.port)}, {each.what}, would {_refused(way)}"


def _packet(address: Address, port: int | None) -> str:
    shown = f"[{address}]" if address.version == 6 and port else f"{address}"
    return f"tcp to {shown}:{port}" if port else f"what is sent to {shown}"


def _refused(way: Way) -> str:
    if isinstance(way.by, FibRule):
        return f"be refused by the FIB rule `{way.by}`"
    if way.by is None:
        return "have no route"
    return f"be refused by the route `unreachable {way.by.destination}` in table {way.by.table}"
