"""The resolved gateway. `resolve.py` makes one of a spec and the facts of a host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cached_property
from ipaddress import ip_network
from itertools import chain
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.settings import Guards
from nvi_operator.language.model.values import FAMILIES, Address, Family, Network, in_any, within
from nvi_operator.topology.exceptions import networks_without
from nvi_operator.topology.flow_cache import FlowCache
from nvi_operator.topology.health import ProbedState
from nvi_operator.topology.interfaces import Inside, Interface, Tenant, Uplink
from nvi_operator.topology.numbers import MAX_RULED_SOURCES, Priorities, device_group
from nvi_operator.topology.prefixes import Prefixes, fewest
from nvi_operator.topology.rules import (
    Conditions,
    ForwardEntry,
    ForwardRule,
    Honoured,
    OneToOne,
    OwnRule,
    RedirectRule,
    RouteEntry,
    SourceRule,
    Spread,
    StaticEntry,
    ToRange,
    TwiceEntry,
    Unchanged,
)
from nvi_operator.topology.servers import ForwardServer
from nvi_operator.topology.ways import DefaultWay


@dataclass(frozen=True)
class Topology:
    """All that the kinds and the ruleset need to know of a gateway."""

    name: str
    dataplane: Literal["kmod", "bpf"]
    device: str
    in_interface: Literal["mark", "skb_iif"]
    stage_mask: int
    local_mask: int
    hide_hop: bool
    ipsec: bool
    reverse_path: tuple[tuple[str, int], ...]  # rp_filter of other interfaces, as strict as before
    programs: bool  # may the interfaces have programs that guard them?
    local: tuple[tuple[str, Address], ...]  # every interface's own addresses, by its name
    loop_tag: int
    flow_cache: FlowCache | None  # None: every packet takes both passes
    liberal: bool  # may TCP segments be outside of conntrack's window? It has not seen those that were cached
    link_group: int
    protocol: int  # of the gateway's own routes and FIB rules
    table: int
    priorities: Priorities
    guards: Guards
    families: tuple[Family, ...]
    inside_interfaces: tuple[Inside, ...]
    uplinks: tuple[Uplink, ...]
    defaults: tuple[DefaultWay, ...]  # of each family that uplinks have
    displaced: tuple[Network, ...]  # addresses of interfaces in the uplinks' group that are no uplink's: renamed ones
    tenants: tuple[Tenant, ...]
    source_rules: tuple[SourceRule, ...]
    forwards: tuple[ForwardEntry, ...]
    forward_rules: tuple[ForwardRule, ...]
    servers: tuple[ForwardServer, ...]  # of forwards that have probes
    ambiguous_publics: frozenset[
        Address
    ]  # public addresses that forwards name, and that an uplink has by lease as well
    suppressed_forwards: tuple[
        str, ...
    ]  # forwards that are not there, because one of the other name has their public port
    forwards_elsewhere: tuple[tuple[str, Address], ...]  # with a server that no inside host can be
    redirects: tuple[RedirectRule, ...]
    statics: tuple[StaticEntry, ...]
    twice: tuple[TwiceEntry, ...]
    routes: tuple[RouteEntry, ...]
    own: tuple[OwnRule, ...]  # what of all that is about the gateway's own packets
    honoured: tuple[Honoured, ...]  # in the kernel's order
    bypassed_by: tuple[str, ...]  # foreign FIB rules in front that take every packet, and what comes of that
    notes: tuple[str, ...]  # what the user should know: which form was chosen, what is missing now

    def without_reasons(self) -> Topology:
        """The gateway without why and since when something is down."""

        def plain(state: ProbedState) -> ProbedState:
            return ProbedState(state.state)

        return replace(
            self,
            uplinks=tuple(replace(each, health=plain(each.health)) for each in self.uplinks),
            servers=tuple(replace(each, health=plain(each.health)) for each in self.servers),
        )

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """Every interface that takes part in NAT, by name."""
        interfaces = {interface.ifname: interface for interface in self._all_interfaces()}
        return tuple(interfaces[ifname] for ifname in sorted(interfaces))

    def _all_interfaces(self) -> Iterator[Interface]:
        yield from (inside.interface for inside in self.inside_interfaces)
        yield from (uplink.interface for uplink in self.uplinks)

    @property
    def is_standby(self) -> bool:
        """Has another gateway every virtual address? Then what inside hosts send does not come here either."""
        virtual = [address for uplink in self.uplinks for address in uplink.virtual]
        return bool(virtual) and all(uplink.elsewhere == uplink.virtual for uplink in self.uplinks)

    @property
    def uplink_ifnames(self) -> tuple[str, ...]:
        return tuple(sorted({uplink.interface.ifname for uplink in self.uplinks}))

    @property
    def device_group(self) -> int:
        """The link group of the device alone, by which the gateway recognises it."""
        return device_group(self.link_group)

    def may_share_addresses(self, ifname: str) -> bool:
        """Does this uplink lead to a network with the same addresses as an inside one (twice NAT)?"""
        return any(self.uplink(entry.uplink).interface.ifname == ifname for entry in self.twice)

    def default_way(self, family: Family) -> DefaultWay | None:
        return next((way for way in self.defaults if way.family == family), None)

    def own_rules(self, family: Family) -> tuple[OwnRule, ...]:
        return tuple(rule for rule in self.own if rule.conditions.family == family)

    def bound(self, family: Family) -> dict[str, Uplink]:
        """The uplinks by interface that sockets bound to it take; none where no rule is about own packets."""
        groups: dict[str, list[Uplink]] = {}
        for uplink in self.uplinks if self.own_rules(family) else ():
            if family in uplink.families:
                groups.setdefault(uplink.interface.ifname, []).append(uplink)
        return {ifname: next((u for u in on if u.is_usable(family)), on[0]) for ifname, on in groups.items()}

    def own_uplinks(self, family: Family) -> tuple[Uplink, ...]:
        """The uplinks with a table of the gateway's own packets."""
        named = {rule.uplink for rule in self.own_rules(family)}
        named |= {uplink.name for uplink in self.bound(family).values()}
        way = self.default_way(family)
        if way is not None and way.own is not None and self.is_told_its_source(self.uplink(way.own), family):
            named.add(way.own)
        return tuple(uplink for uplink in self.uplinks if uplink.name in named)

    def unlisted(self, family: Family) -> dict[Address, Uplink]:
        """Addresses on uplinks' interfaces that no uplink has, with the uplink in whose network they are, or else the
        first of the interface: programs may be bound to them.

        None where they are many: each takes a FIB rule.
        """
        return self._unlisted[family]

    @cached_property
    def _unlisted(self) -> dict[Family, dict[Address, Uplink]]:
        found: dict[Family, dict[Address, Uplink]] = {}
        times, on_uplinks = Counter(address for _, address in self.local), set(self.uplink_ifnames)
        for family in FAMILIES:
            known = Prefixes(network for uplink in self.uplinks for network in uplink.sources(family))
            further = {
                address: self._beside(address, ifname)
                for ifname, address in self.local
                if address.version == family and ifname in on_uplinks and times[address] == 1
                if not address.is_link_local and not known.cover(ip_network(address))
            }
            found[family] = further if len(further) <= MAX_RULED_SOURCES else {}
        return found

    def _beside(self, address: Address, ifname: str) -> Uplink:
        """The uplink on this interface that has an address in the same network, or the first."""
        on_it = [uplink for uplink in self.uplinks if uplink.interface.ifname == ifname]
        networks = [network for network in on_it[0].on_link if address in network]
        return next((u for u in on_it if any(own in n for own in u.addresses for n in networks)), on_it[0])

    def is_told_its_source(self, uplink: Uplink, family: Family) -> bool:
        """Has the wire no address of the family, and another interface one that is routed here? The kernel would take
        any for what the gateway itself sends, such as one of another uplink's interface.
        """
        return uplink.on_wire(family) is None and self.own_source(uplink, family) is not None

    def own_source(self, uplink: Uplink, family: Family) -> Address | None:
        """The address of own packets by an uplink; None while it is on no interface: a route cannot have it.

        A wire without addresses of its own: what flows are translated to, or the first that is routed here.
        """
        local = [address for _, address in self.local if address.version == family]
        if uplink.on_wire(family) is not None:
            return next((address for address in uplink.addresses if address in local), None)
        chosen = (address for address in uplink.translate_to if address in local)
        return next(chain(chosen, (address for address in local if in_any(address, uplink.routed))), None)

    def uplink(self, name: str) -> Uplink:
        return next(uplink for uplink in self.uplinks if uplink.name == name)

    @cached_property
    def tenant_labels(self) -> dict[int, str]:
        """By the tenants' numbers."""
        return {tenant.number: tenant.label for tenant in self.tenants}

    def inside_networks(self, family: Family, *, tenant: int | None = None) -> tuple[Network, ...]:
        """What lives behind inside interfaces: all of it, or of one tenant (0: of those in none)."""
        return fewest(
            (n for i in self.inside_interfaces if tenant is None or i.tenant == tenant for n in i.networks), family
        )

    def answering(self, family: Family) -> tuple[Network, ...]:
        """Inside networks whose hosts answer `far` ones: tenants' are among them where no other has the same."""
        alone = (
            network
            for inside in self.inside_interfaces
            for network in inside.of_family(family)
            if not any(
                network.overlaps(n)
                for other in self.inside_interfaces
                if other.tenant != inside.tenant
                for n in other.of_family(family)
            )
        )
        return fewest(alone, family)

    def of_several_tenants(self, family: Family) -> tuple[Network, ...]:
        """Networks that more than one tenant has: by address alone nothing tells whose host is meant."""
        having = [
            (network, inside.tenant) for inside in self.inside_interfaces for network in inside.of_family(family)
        ]
        found: list[Network] = []
        around: list[tuple[Network, int]] = []  # the networks that the current one lies within
        for network, tenant in sorted(having, key=lambda each: (int(each[0][0]), each[0].prefixlen)):
            while around and not within(network, around[-1][0]):
                around.pop()
            if any(other != tenant for _, other in around):
                found.append(network)
            around.append((network, tenant))
        return fewest(found, family)

    def unchanged(self, family: Family) -> tuple[Conditions, ...]:
        """The conditions of the rules that leave sources as they are."""
        rules = [rule.conditions for rule in self.source_rules if isinstance(rule.action, Unchanged)]
        return tuple(conditions for conditions in rules if conditions.family == family)

    def far(self, family: Family, ifname: str | None = None) -> tuple[Network, ...]:
        """What is behind uplinks, or those on one interface, and may open flows to inside addresses."""
        return fewest((n for u in self.uplinks if ifname in (None, u.interface.ifname) for n in u.far), family)

    def kept_here(self, family: Family) -> tuple[Network, ...]:
        """Public addresses that are on no interface: routed to this gateway, or announced by it.

        Where `main` knows no way to one, no host has it: an ISP would only send back what is meant for it. Not those
        that hosts beside the gateway may have, nor those that the spec says are elsewhere.
        """
        elsewhere = [*self.far(family)]
        elsewhere += (network for conditions in self.unchanged(family) for network in conditions.destinations)
        for uplink in self.uplinks:
            elsewhere += (*uplink.on_link, *(known.network for known in uplink.wire))
        routed = fewest((network for uplink in self.uplinks for network in uplink.routed), family)
        kept = networks_without(routed, elsewhere, family) if routed else ()
        return fewest([*kept, *(ip_network(a) for uplink in self.uplinks for a in uplink.announced)], family)

    def wires_within(self, networks: Collection[Network]) -> tuple[Network, ...]:
        """The networks on uplinks' wires that lie in wider ones of these.

        Not those that equal one of them: a lease with the prefix of an inside network lets no outsider in.
        """
        wires = dict.fromkeys(network for uplink in self.uplinks for network in uplink.on_link)
        return tuple(wire for wire in wires if any(within(wire, n) and wire != n for n in networks))

    def is_part_of_inside(self, network: Network) -> bool:
        """Does it name a part of an inside network, and none of them whole?"""
        return self._declared.cover(network) and not any(within(n, network) for n in self._declared)

    @cached_property
    def _declared(self) -> Prefixes:
        return Prefixes(network for inside in self.inside_interfaces for network in inside.networks)

    def gives_inside_address(self, rule: SourceRule) -> bool:
        """Does it translate a part of the inside (language/check/translations.py), which is otherwise left alone?

        Such rules are asked before the others.
        """
        match rule.action:
            case ToRange(addresses, _, _):
                given = [addresses.first, addresses.last]
            case Spread(choices, _, _):
                given = [choice.address for choice in choices]
            case OneToOne(pairs):
                given = [mapped[0] for _, mapped in pairs]
            case _:
                given = []
        family = rule.conditions.family
        inside = self.inside_networks(family)
        public = [network for uplink in self.uplinks for network in uplink.sources(family)]
        return bool(given and rule.conditions.destinations) and all(
            any(address in network for network in inside) and not any(address in network for network in public)
            for address in given
        )

    def asked_first(self, rule: SourceRule) -> SourceRule | None:
        """The rule, or what of it is about a part of the inside: such rules are asked before inside networks are left
        as they are. None: it is about no part.
        """
        if self.gives_inside_address(rule):
            return rule
        parts = tuple(n for n in rule.conditions.destinations if self.is_part_of_inside(n))
        return replace(rule, conditions=replace(rule.conditions, destinations=parts)) if parts else None

    def parts_elsewhere(self, family: Family) -> dict[Network, frozenset[str]]:
        """Parts of inside networks that rules and routes say are beyond uplinks, with these uplinks' interfaces.

        Their hosts answer what inside hosts and the gateway send there; they open no flows to the inside.
        """
        return self._parts_elsewhere[family]

    @cached_property
    def _parts_elsewhere(self) -> dict[Family, dict[Network, frozenset[str]]]:
        found: dict[Family, dict[Network, frozenset[str]]] = {family: {} for family in FAMILIES}
        for family, parts in found.items():
            for conditions, ifnames in self._led_out(family):
                for network in conditions.destinations:
                    if self.is_part_of_inside(network):
                        parts[network] = parts.get(network, frozenset()) | ifnames
        return found

    def _led_out(self, family: Family) -> Iterator[tuple[Conditions, frozenset[str]]]:
        for route in self.routes:
            if route.conditions.family == family:
                yield route.conditions, frozenset({self.uplink(route.uplink).interface.ifname})
        way = self.default_way(family)
        for rule in self.source_rules:
            parts = any(map(self.is_part_of_inside, rule.conditions.destinations))
            if rule.conditions.family != family or not parts or self.gives_inside_address(rule):
                continue
            if not isinstance(rule.action, Unchanged):
                yield rule.conditions, frozenset(self.uplink_ifnames)
            elif way is not None and way.untranslated is not None:
                yield rule.conditions, frozenset({self.uplink(way.untranslated).interface.ifname})

    @property
    def by_source_map(self) -> bool:
        """Past a few dozen source prefixes an nft map beats FIB rules: 100 rules cost 15 % of the rate."""
        return sum(len(u.sources(f)) for u in self.uplinks for f in FAMILIES) > MAX_RULED_SOURCES
