"""FIB rules and routes: where a class of packets goes. Split by each rule, and by the longest prefix of each table.

Source: net/core/fib_rules.c, net/ipv4/fib_rules.c, net/ipv4/fib_trie.c, net/ipv6/fib6_rules.c, Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Any

from nvi_operator.dataclass import dataclass, replace
from nvi_operator.explain.limits import Limit
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.numbers import address_span, protocol_of
from nvi_operator.explain.packet import WITH_PORTS
from nvi_operator.explain.passing import Passing
from nvi_operator.explain.space import Term
from nvi_operator.explain.spans import NOTHING, Spans
from nvi_operator.explain.step import HostRoute
from nvi_operator.explain.verdict import Dropped, NotModelled, Refused, Verdict
from nvi_operator.kinds.route import Route
from nvi_operator.language.model.values import FAMILIES, Address, Family
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.facts import RouteTableFact
from nvi_operator.topology.numbers import LOCAL


@dataclass(frozen=True, eq=False)
class FibResult:
    """Where it goes: to the gateway itself, out by `dev`, or nowhere. `by` are the FIB rule and the route."""

    dev: str | None = None
    via: Address | None = None
    local: bool = False
    refused: Verdict | None = None
    by: tuple[object, ...] = ()


@dataclass(frozen=True)
class FibLookup:
    """What is looked up: mostly the packet as it is. `iif` is `lo` for what the gateway itself sends."""

    iif: str | None
    source: Term
    destination: Term
    mark: int
    oif: str | None = None  # the only interface to leave by
    own: bool = False
    near: str | None = None  # the interface to leave by, of several that are as good (IPv6)
    uses: str | None = None  # is this one of the next hops? (fib_info_nh_uses_dev())
    has_ports: bool = True


@dataclass(frozen=True, eq=False)
class _Table:
    """`routes`: prefix length, addresses, and those with this prefix and metric, in the kernel's order."""

    routes: Sequence[tuple[int, Spans, Sequence[Route | HostRoute]]]


class Router:
    """FIB rules and routes, looked up as the kernel does. A table is put in order when it is first asked."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._tables: dict[tuple[Family, int], _Table] = {}

    @cached_property
    def _rules(self) -> dict[Family, Sequence[FibRule]]:
        """The rules in the kernel's order."""
        owned = (rule for rule in self._machine.state.of_kind("fib-rule") if isinstance(rule, FibRule))
        in_order = sorted((*self._machine.rules, *owned), key=lambda rule: rule.priority)
        return {family: [rule for rule in in_order if rule.family == family] for family in FAMILIES}

    def table(self, family: Family, number: int) -> _Table:
        key = family, number
        if key not in self._tables:
            self._tables[key] = _Table(tuple(_in_order(self._machine, family, number)))
        return self._tables[key]

    # ------------------------------------------------------------------ the lookup

    def routed(self, passing: Passing, asked: FibLookup | None = None) -> list[tuple[Passing, FibResult]]:
        """The parts of the class, each with its way."""
        asked = asked or FibLookup(
            passing.in_interface or "lo",
            passing.now["source"],
            passing.now["destination"],
            passing.mark,
            own=passing.is_own,
        )
        found: list[tuple[Passing, FibResult]] = []
        self._from(0, [passing], asked, found)
        if asked.own and asked.oif is not None and passing.family == 4:
            return [(part, _on_wire(way, asked.oif)) for part, way in found]
        return found

    def _from(
        self, start: int, passings: list[Passing], asked: FibLookup, found: list[tuple[Passing, FibResult]]
    ) -> None:
        if not passings:
            return
        rules = self._rules[passings[0].family]
        current = passings
        for at in range(start, len(rules)):
            rule, following = rules[at], list[Passing]()
            for passing in current:
                yes, no = self._matching(rule, passing, asked)
                if rule.inverted:  # the rule as a whole
                    yes, no = no, yes
                following += no
                for each in yes:
                    if rule.other:
                        refused = NotModelled(Limit.FOREIGN_FIB_RULE, str(rule))
                        found.append((each, FibResult(refused=refused, by=(rule,))))
                    elif rule.action == "goto":
                        target = next((i for i, r in enumerate(rules) if r.priority == rule.goto), None)
                        if target is None:  # an unresolved goto is passed over
                            following.append(each)
                        else:
                            self._from(target, [each], asked, found)
                    else:
                        following += self._act(rule, each, asked, found)
            current = following
            if not current:
                return
        found += [
            (passing, FibResult(refused=Refused("unreachable", "no FIB rule leads anywhere"))) for passing in current
        ]

    def _act(
        self, rule: FibRule, passing: Passing, asked: FibLookup, found: list[tuple[Passing, FibResult]]
    ) -> list[Passing]:
        """What the rule passes on to the next one."""
        if rule.action == "nop":
            return [passing]
        if rule.action == "unreachable":
            found.append((passing, FibResult(refused=Refused("unreachable", f"rule {rule.priority}"), by=(rule,))))
            return []
        return self._lookup(rule, passing, asked, found)

    def _lookup(
        self, rule: FibRule, passing: Passing, asked: FibLookup, found: list[tuple[Passing, FibResult]]
    ) -> list[Passing]:
        if rule.table == LOCAL:
            return self._local(rule, passing, asked, found)
        on: list[Passing] = []
        rest: Passing | None = passing
        known = self._machine.tables.get(rule.table or 0)
        if known is not None and _may_hold(known, rule):
            found.append((passing, FibResult(refused=NotModelled(Limit.FOREIGN_FIB_RULE, str(rule)), by=(rule,))))
            return []
        for length, addresses, routes in self.table(passing.family, rule.table or 0).routes:
            if rest is None:
                break
            route = _best(routes, asked, passing.family)
            if route is None:
                continue
            inside, rest = rest.split(asked.destination, addresses)
            if inside is None:
                continue
            if route.dev is None:
                refused = _refusal(rule, route)
                if refused is None:
                    on.append(inside)
                else:
                    found.append((inside, FibResult(refused=refused, by=(rule, route))))
            elif self._suppressed(rule, length, route):
                on.append(inside)
            else:
                found += _by_hops(inside, rule, _next_hops(route, routes, asked))
        return [*on, rest] if rest is not None else on

    def _suppressed(self, rule: FibRule, length: int, route: Route | HostRoute) -> bool:
        if rule.suppress_prefix_length is not None and length <= rule.suppress_prefix_length:
            return True
        interface = self._machine.interfaces.get(route.dev or "")
        return rule.suppress_group is not None and interface is not None and interface.group == rule.suppress_group

    def _local(
        self, rule: FibRule, passing: Passing, asked: FibLookup, found: list[tuple[Passing, FibResult]]
    ) -> list[Passing]:
        own = self._machine.own_addresses(passing.family, asked.oif)
        own |= self._anycast(asked.oif) if passing.family == 6 else NOTHING
        inside, rest = passing.split(asked.destination, own)
        if inside is not None:
            found.append((inside, FibResult(local=True, by=(rule,))))
        if rest is None or passing.family == 6:
            return [] if rest is None else [rest]
        for dev, ends in self.broadcasts.items():
            if rest is not None:
                broadcast, rest = rest.split(asked.destination, ends)
                if broadcast is not None:
                    # The gateway itself takes it; its own sockets have to ask for leave to send one.
                    refused = NotModelled(Limit.MULTICAST, "broadcast") if asked.own else None
                    found.append((broadcast, FibResult(dev, local=True, refused=refused, by=(rule,))))
        return [] if rest is None else [rest]

    def _anycast(self, dev: str | None) -> Spans:
        """The first address of each IPv6 network: that of every router there (RFC 4291, 2.6.1)."""
        networks = [
            a.network
            for i in self._machine.interfaces.values()
            if i.up and dev in (None, i.name)
            for a in i.addresses
        ]
        return Spans.of((int(n[0]), int(n[0])) for n in networks if n.version == 6 and n.prefixlen < 127)

    @cached_property
    def broadcasts(self) -> Mapping[str, Spans]:
        """The last address of each connected network, by its interface: that of broadcasts."""
        found: dict[str, Spans] = {"": Spans.one(0xFFFFFFFF)}
        for interface in self._machine.interfaces.values():
            networks = {a.network for a in interface.addresses if interface.up and a.version == 4}
            ends = Spans.of((int(n[-1]), int(n[-1])) for n in networks if n.prefixlen < 31)
            if ends:
                found[interface.name] = ends
        return found

    # ------------------------------------------------------------------ rules

    def _matching(self, rule: FibRule, passing: Passing, asked: FibLookup) -> tuple[list[Passing], list[Passing]]:
        if rule.iif is not None and rule.iif != asked.iif:
            return [], [passing]
        if rule.oif is not None and rule.oif != ((asked.oif or asked.near) if asked.own else None):
            return [], [passing]
        if not asked.has_ports and (rule.source_ports or rule.destination_ports):
            return [], [passing]
        if rule.mark is not None and (asked.mark ^ rule.mark) & (0xFFFFFFFF if rule.mask is None else rule.mask):
            return [], [passing]
        no: list[Passing] = []
        current: Passing | None = passing
        for term, values in _conditions(rule, passing, asked):
            if current is not None:
                current, rest = current.split(term, values)
                if rest is not None:
                    no.append(rest)
        return ([current] if current is not None else []), no


def _refusal(rule: FibRule, route: Route | HostRoute) -> Verdict | None:
    """None: the lookup continues with the next rule."""
    kind = route.refuses if isinstance(route, HostRoute) else route.type
    if kind == "throw":
        return None
    return Dropped(f"table {rule.table}") if kind == "blackhole" else Refused("unreachable", f"table {rule.table}")


def _on_wire(way: FibResult, dev: str) -> FibResult:
    """What an IPv4 socket sends that is bound to an interface goes out there, to the wire where no route leads
    (ip_route_output_key_hash_rcu()).
    """
    return FibResult(dev, by=way.by[:1]) if isinstance(way.refused, Refused) else way


def _conditions(rule: FibRule, passing: Passing, asked: FibLookup) -> Iterator[tuple[Term, Spans]]:
    if rule.source is not None:
        yield asked.source, Spans((address_span(rule.source),))
    if rule.destination is not None:
        yield asked.destination, Spans((address_span(rule.destination),))
    if rule.protocol is not None:
        yield passing.now["protocol"], Spans.one(protocol_of(rule.protocol))
    for side, ports in (("source_port", rule.source_ports), ("destination_port", rule.destination_ports)):
        if ports is not None:
            yield passing.now["protocol"], Spans.of((p, p) for p in WITH_PORTS)
            yield passing.now[side], Spans((ports,))


def _in_order(
    machine: Machine, family: Family, table: int
) -> Iterable[tuple[int, Spans, Sequence[Route | HostRoute]]]:
    """The longest prefix first, of equal ones the smallest metric. Routes by interfaces that are down are gone."""
    owned = [r for r in machine.state.of_kind("route") if isinstance(r, Route) and r.table == table]
    found: list[tuple[int, int, Any]] = []
    for route in owned:
        if route.family == family and (route.type == "unreachable" or _is_up(machine, route.dev)):
            found.append((int(route.destination.rpartition("/")[2]), route.metric, route))
    for known in machine.routes:
        mine = known.destination.version == family and known.table == table
        if mine and (known.dev is None or _is_up(machine, known.dev)):
            found.append((known.destination.prefixlen, known.metric, known))
    groups: dict[tuple[int, int, str], list[Any]] = {}
    for length, metric, route in found:
        groups.setdefault((-length, metric, str(route.destination)), []).append(route)
    for length, metric, destination in sorted(groups, key=lambda key: key[:2]):
        yield -length, Spans.networks([ip_network(destination)]), groups[length, metric, destination]


def _best(routes: Sequence[Route | HostRoute], asked: FibLookup, family: Family) -> Route | HostRoute | None:
    """A lookup for one interface passes over routes by others; of IPv4 not over what refuses.

    Of several to one IPv6 network, as tenants with equal networks have, that by the in-interface is preferred
    (ip6_pol_route_input(), rt6_check_dev()).
    """
    if asked.oif is not None:
        routes = [r for r in routes if r.dev == asked.oif or (r.dev is None and family == 4)]
    preferred = [r for r in routes if r.dev in (asked.iif, asked.near)] if family == 6 else []
    return next(iter((*preferred, *routes)), None)


def _next_hops(
    route: Route | HostRoute, routes: Sequence[Route | HostRoute], asked: FibLookup
) -> Sequence[Route | HostRoute]:
    """The next hops of which the kernel chooses one for each flow."""
    if not (isinstance(route, HostRoute) and route.shared):
        return (route,)
    hops = [r for r in routes if isinstance(r, HostRoute) and r.shared and asked.oif in (None, r.dev)]
    if asked.uses is None:
        return hops
    return [next((hop for hop in hops if hop.dev == asked.uses), hops[0])]


def _by_hops(
    passing: Passing, rule: FibRule, hops: Sequence[Route | HostRoute]
) -> Iterator[tuple[Passing, FibResult]]:
    for hop in hops:
        via = ip_address(hop.via) if isinstance(hop.via, str) else hop.via
        part = passing if len(hops) == 1 else replace(passing, chosen=(*passing.chosen, f"next hop {via or hop.dev}"))
        yield part, FibResult(hop.dev, via, by=(rule, hop))


def _may_hold(table: RouteTableFact, rule: FibRule) -> bool:
    """Can a table of which only this is known hold a route that the rule takes?"""
    return table.specific or table.refuses or (bool(table.default) and rule.suppress_prefix_length is None)


def _is_up(machine: Machine, dev: str | None) -> bool:
    interface = machine.interfaces.get(dev or "")
    return interface is not None and interface.up


def reverse_path(router: Router, passing: Passing) -> tuple[list[Passing], list[Passing]]:
    """The packets whose route back to the source leads by the in-interface (nft_fib4_eval(), nft_fib6_eval())."""
    ifname = passing.in_interface
    uses = ifname if passing.family == 4 else None
    asked = FibLookup("lo", passing.now["destination"], passing.now["source"], 0, uses=uses, has_ports=False)
    yes: list[Passing] = []
    no: list[Passing] = []
    for part, way in router.routed(passing, asked):
        (yes if way.dev == ifname and way.dev is not None else no).append(replace(part))
    return yes, no
