"""Which entry of the spec asks for an interface, a routing table, a network or a FIB rule. Pure.

A plan has two sides. What is desired was made from a topology, which names its entries. What is there now may belong
to entries that are no longer in the spec: chains and counters of the live table still name some of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from ipaddress import ip_network
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.kinds.egress_guard import EgressGuard
from nvi_operator.kinds.fib_rule.combinations import each_combination
from nvi_operator.kinds.fib_rule.own import own_rules
from nvi_operator.kinds.ingress_guard import IngressGuard
from nvi_operator.kinds.link_group import LinkGroup
from nvi_operator.kinds.proxy_neighbour import ProxyNeighbour
from nvi_operator.kinds.route import Route
from nvi_operator.kinds.sysctl import Sysctl
from nvi_operator.nft.ast import Match, Table, Verdict, Vmap
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState, Object
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import Priorities, own_table
from nvi_operator.topology.rules import Conditions, Unchanged


@dataclass(frozen=True)
class SpecEntry:
    """One entry of the spec; without a section, the gateway itself. `name` is None if the spec no longer has it."""

    section: str = ""
    name: str | None = None


GATEWAY = SpecEntry()


@dataclass(frozen=True)
class Owners:
    """The entries of one side of a plan, by what they own."""

    ifnames: Mapping[str, SpecEntry] = field(default_factory=dict)
    ifindexes: Mapping[int, SpecEntry] = field(default_factory=dict)
    tables: Mapping[int, SpecEntry] = field(default_factory=dict)
    networks: Mapping[str, SpecEntry] = field(default_factory=dict)
    labels: Mapping[str, SpecEntry] = field(
        default_factory=dict
    )  # by the nft identifiers of their chains and counters
    untranslated: tuple[tuple[Conditions, SpecEntry], ...] = ()
    twice: Mapping[tuple[str, str], SpecEntry] = field(default_factory=dict)  # by source and destination of FIB rules
    routes: tuple[SpecEntry, ...] = ()  # in the order of their FIB rules
    own: Mapping[str, SpecEntry] = field(default_factory=dict)  # by FIB rules of the gateway's own packets
    own_tables: Mapping[int, str] = field(default_factory=dict)  # the uplinks that they lead to
    led: Mapping[tuple[str, str], SpecEntry] = field(default_factory=dict)  # routes, as `twice`

    def of_network(self, network: str) -> SpecEntry | None:
        """The entry that has this prefix, or the parts that it was joined of."""
        if found := self.networks.get(network):
            return found
        whole: Any = ip_network(network)
        for known, entry in self.networks.items():
            part: Any = ip_network(known)
            if part.version == whole.version and part.subnet_of(whole):
                return entry
        return None

    def of_rule(self, rule: FibRule, at: Priorities) -> SpecEntry:
        """The entry that a FIB rule belongs to; the priority tells what the rule does (docs/architecture.md)."""
        if at.policy(0) <= rule.priority < at.honoured(0):
            index = rule.priority - at.policy(0)
            return self.routes[index] if index < len(self.routes) else SpecEntry("routes")
        if rule.priority in (at.uplinks_to_routed, at.uplinks_past_others):
            return self.led.get((rule.source or "", rule.destination or ""), SpecEntry("routes"))
        if at.own(0) <= rule.priority < at.local_skips_backstop:
            return self.own.get(rule.key, GATEWAY)
        if rule.priority in (at.twice, at.refused):
            return self.twice.get((rule.source or "", rule.destination or ""), SpecEntry("twiceNat"))
        if at.untranslated_within <= rule.priority <= at.untranslated:
            return self._of_untranslated(rule)
        if rule.table is not None and rule.table in self.tables and rule.iif != "lo":
            return self.tables[rule.table]
        if rule.iif not in (None, "lo"):
            return self.ifnames.get(str(rule.iif), GATEWAY)
        network = rule.source or rule.destination
        return (self.of_network(network) if network else None) or GATEWAY

    def of_object(self, obj: Object, at: Priorities | None) -> SpecEntry:
        """The entry that an object other than the table belongs to. `at`: the gateway's priorities, where known."""
        match obj:
            case FibRule():
                return self.of_rule(obj, at) if at else GATEWAY
            case Route(table=table, dev=dev) if table not in self.own_tables:
                return self.tables.get(table) or self.ifnames.get(dev or "", GATEWAY)
            case LinkGroup() | EgressGuard() | IngressGuard() | ProxyNeighbour():
                return self.ifnames.get(obj.ifname, GATEWAY)
            case Sysctl(path=path):
                return next((self.ifnames[part] for part in path.split("/") if part in self.ifnames), GATEWAY)
        return GATEWAY

    def _of_untranslated(self, rule: FibRule) -> SpecEntry:
        for conditions, entry in self.untranslated:
            sources, destinations = set(map(str, conditions.sources)), set(map(str, conditions.destinations))
            if (rule.source is None or rule.source in sources) and (
                rule.destination is None or rule.destination in destinations
            ):
                return entry
        return GATEWAY


def owners_of(topology: Topology) -> Owners:
    """The entries that a topology was made from."""
    uplinks = {uplink.name: SpecEntry("uplinks", uplink.name) for uplink in topology.uplinks}
    tenants = {tenant.name: SpecEntry("tenants", tenant.name) for tenant in topology.tenants}
    interfaces = {
        inside.interface.ifname: SpecEntry("interfaces", inside.interface.ifname)
        for inside in topology.inside_interfaces
    }
    ifnames = {uplink.interface.ifname: uplinks[uplink.name] for uplink in reversed(topology.uplinks)} | interfaces
    networks = {
        str(network): uplinks[uplink.name]
        for uplink in topology.uplinks
        for network in (*uplink.sources(4), *uplink.sources(6))
    }
    for inside in topology.inside_interfaces:
        networks |= {str(network): interfaces[inside.interface.ifname] for network in inside.networks}
    return Owners(
        ifnames,
        {i.ifindex: ifnames[i.ifname] for i in topology.interfaces if i.ifindex is not None},
        {u.table: uplinks[u.name] for u in topology.uplinks} | {t.table: tenants[t.name] for t in topology.tenants},
        networks,
        dict(_labels(topology)),
        tuple(
            (rule.conditions, SpecEntry("sourceNat", rule.name))
            for rule in topology.source_rules
            if isinstance(rule.action, Unchanged)
        ),
        {
            pair: SpecEntry("twiceNat", entry.name)
            for entry in topology.twice
            for pair in ((str(entry.mapped), str(entry.far)), *((str(entry.real), str(a)) for a in entry.refused))
        },
        tuple(SpecEntry("routes", route.name) for route in topology.routes),
        {
            rule.key: SpecEntry(own.section, own.name)
            for family in topology.families
            for rule, own in own_rules(topology, family)
            if own is not None
        },
        {own_table(topology.table, uplink.slot): uplink.name for uplink in topology.uplinks},
        {
            (source or "", destination or ""): SpecEntry("routes", route.name)
            for route in reversed(topology.routes)
            for _, source, destination in each_combination(route.conditions)
        },
    )


def _labels(topology: Topology) -> Iterator[tuple[str, SpecEntry]]:
    for uplink in topology.uplinks:
        yield f"mss_{uplink.label}", SpecEntry("uplinks", uplink.name)
        yield f"out_{uplink.label}", SpecEntry("uplinks", uplink.name)
        yield f"sources_{uplink.label}", SpecEntry("uplinks", uplink.name)
    for tenant in topology.tenants:
        for prefix in ("tenant", "from", "to"):
            yield f"{prefix}_{tenant.label}", SpecEntry("tenants", tenant.name)
    for source in topology.source_rules:
        yield source.counter, SpecEntry("sourceNat", source.name)
    for own in topology.own:
        if own.section == "sourceNat":
            yield own.counter, SpecEntry("sourceNat", own.name)
    for forward in topology.forward_rules:
        yield forward.counter, SpecEntry("forwards", forward.name)
    for redirect in topology.redirects:
        yield redirect.counter, SpecEntry("redirects", redirect.name)


_PREFIXES = {
    "mss": "uplinks",
    "out": "uplinks",
    "sources": "uplinks",
    "snat": "sourceNat",
    "dnat": "forwards",
    "redirect": "redirects",
    "tenant": "tenants",
    "from": "tenants",
    "to": "tenants",
}


def of_label(label: str) -> SpecEntry:
    """The entry that a name in the live table stands for: spec names hold no underscore (topology.identifier)."""
    prefix, found, name = label.partition("_")
    return SpecEntry(_PREFIXES[prefix], name.replace("_", "-")) if found and prefix in _PREFIXES else GATEWAY


def owners_in(state: HostState, known: Owners) -> Owners:
    """The entries of a live state: those of `known`, and what its table says of uplinks that `known` has not."""
    ifnames = dict(known.ifnames)
    for table in state.of_kind("nft-table"):
        if isinstance(table, Table):
            ifnames = {ifname: of_label(chain) for ifname, chain in _ways_out(table)} | ifnames
    tables = {
        route.table: ifnames[route.dev]
        for route in state.of_kind("route")
        if isinstance(route, Route) and route.dev in ifnames and ifnames[route.dev].section == "uplinks"
    }
    networks = {
        rule.source: tables[rule.table]
        for rule in state.of_kind("fib-rule")
        if isinstance(rule, FibRule) and rule.source and rule.table in tables and rule.mark is None
    }
    return replace(known, ifnames=ifnames, tables={**known.tables, **tables}, networks={**networks, **known.networks})


def _ways_out(table: Table) -> Iterator[tuple[str, str]]:
    """The interfaces that the guard knows, and the chain of each (ruleset/guard.py)."""
    for rule in next((chain.rules for chain in table.chains if chain.name == "guard"), ()):
        match rule:
            case (Match(right=str(name)), Verdict("jump", str(chain))) if chain.startswith("out_"):
                yield name, chain
            case (Vmap(map=frozenset(jumps)),):
                for (ifname, *_), verdict in jumps:
                    if isinstance(verdict, Verdict) and verdict.target:
                        yield str(ifname), verdict.target
