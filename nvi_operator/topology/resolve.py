"""Spec + facts -> Topology.

Assumes a spec that `language/check/gateway.py` has passed; what a host lacks becomes a note, not an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from operator import attrgetter
from typing import Literal

from nvi_operator.errors import CapabilityError
from nvi_operator.kmod.verdict import judge
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.interfaces import UplinkSpec
from nvi_operator.language.model.values import FAMILIES, SELF, Address, Family, Network
from nvi_operator.topology.addresses import find_addresses, networks_beside
from nvi_operator.topology.announced import announced
from nvi_operator.topology.delegated import Delegated, delegated_networks, find_delegated, resolve_prefix_nat
from nvi_operator.topology.exceptions import networks_without
from nvi_operator.topology.facts import MOST_ROUTES, Facts, LinkFact
from nvi_operator.topology.far_side import with_far_networks
from nvi_operator.topology.flow_cache import resolve_flow_cache
from nvi_operator.topology.foreign_rules import judge_rules
from nvi_operator.topology.forwards import ResolvedForwards, resolve_forwards
from nvi_operator.topology.health import UNKNOWN, HealthFacts
from nvi_operator.topology.interfaces import Inside, Interface, Tenant, Uplink
from nvi_operator.topology.model import Topology
from nvi_operator.topology.notes import Note
from nvi_operator.topology.numbers import Priorities, tenant_table, uplink_table
from nvi_operator.topology.own import name_sourceless, resolve_own
from nvi_operator.topology.redirects import left_alone, resolve_redirects
from nvi_operator.topology.rules import Conditions, RouteEntry
from nvi_operator.topology.source_nat import resolve_source_nat
from nvi_operator.topology.static import resolve_static
from nvi_operator.topology.twice_nat import resolve_twice_nat
from nvi_operator.topology.ways import default_ways, first_working
from nvi_operator.topology.without_effect import rules_without_effect


def resolve(name: str, spec: GatewaySpec, facts: Facts, before: Topology | None = None) -> Topology:
    """The gateway `name` as this host can be it now. Pure: equal input, equal output.

    `before` is the topology of the same spec on other facts: what does not depend on the difference is taken from it,
    because it may be large.
    """
    notes: list[str] = []
    tenants = _tenants(spec)
    delegated = find_delegated(spec, facts, notes.append)
    uplinks = with_far_networks(spec, _uplinks(spec, facts, delegated, notes.append), notes.append)
    parts = delegated_networks(spec, delegated, notes.append)
    inside_interfaces = tuple(
        Inside(
            _interface(ifname, facts, notes.append),
            (*interface.networks, *parts[ifname]),
            tenants[interface.tenant].number if interface.tenant else 0,
            parts[ifname],
        )
        for ifname, interface in sorted(spec.interfaces.items())
    )
    _name_inside_among_uplinks(spec, facts, notes.append)
    _inside_sources(spec, facts, notes.append)
    notes += rules_without_effect(spec, facts, uplinks)
    dataplane = _dataplane(spec, facts, notes.append)
    _name_earlier_programs(spec, facts, dataplane, notes.append)
    forwards = _forwards(spec, uplinks, inside_interfaces, tenants, facts.health, before)
    for name in forwards["suppressed_forwards"]:
        notes.append(
            f"forward {name}: omitted: its public address is now an uplink's, and another forward uses the port"
        )
    local = tuple(_local(facts))
    defaults = tuple(default_ways(spec, uplinks, facts))
    if not facts.assumed:
        name_sourceless(defaults, uplinks, [address for _, address in local], notes.append)
    redirects = resolve_redirects(spec, inside_interfaces, local, notes.append)
    notes += left_alone(spec, inside_interfaces, uplinks)
    statics = resolve_static(spec.static, uplinks, inside_interfaces, tenants, notes.append)
    statics += tuple(resolve_prefix_nat(spec, delegated, uplinks, notes.append))
    honoured, not_honoured = judge_rules(spec, facts)
    notes += map(str, not_honoured)
    for family in sorted(facts.refuses):
        notes.append(
            f"main: its IPv{family} default route refuses: stage 2 looks up networks in main, and what inside hosts "
            "send elsewhere ends there; delete that route: the uplinks' tables end in one themselves"
        )
    families = _families(inside_interfaces, uplinks)
    interfaces = {i.ifname: i for i in (*(i.interface for i in inside_interfaces), *(u.interface for u in uplinks))}
    flow_cache = resolve_flow_cache(spec, facts, dataplane, families, interfaces.values(), notes.append)
    return Topology(
        name=name,
        dataplane=dataplane,
        device=spec.dataplane.device,
        in_interface=_in_interface(spec, notes.append),
        stage_mask=1 << spec.dataplane.stage_bit,
        local_mask=1 << spec.dataplane.local_bit,
        hide_hop=spec.dataplane.hide_hop,
        ipsec=spec.dataplane.ipsec,
        reverse_path=tuple(_reverse_path(spec, facts)),
        programs=_programs(dataplane, facts, notes.append),
        local=local,
        # Two gateways in a row on one host must not share it: the cookie differs for every namespace. The
        # lower half is left to tc classes, whose minor numbers are kept in the same place.
        loop_tag=0x8000 | facts.netns_cookie << 4 & 0x7FF0,  # the lowest four bits are sch_gred's
        flow_cache=flow_cache,
        # Flows that were cached need it for as long as they live, and which these are, is not known.
        liberal=facts.liberal or (flow_cache is not None and dataplane == "bpf"),
        link_group=spec.numbers.link_group,
        protocol=spec.numbers.protocol,
        table=spec.numbers.table,
        priorities=Priorities(spec.numbers.rule_priority),
        guards=spec.guards,
        families=families,
        inside_interfaces=inside_interfaces,
        uplinks=uplinks,
        defaults=defaults,
        displaced=tuple(_displaced(spec, facts)),
        tenants=tuple(tenants[tenant] for tenant in sorted(tenants)),
        source_rules=resolve_source_nat(spec, uplinks, inside_interfaces, tenants, notes.append),
        **forwards,
        redirects=redirects,
        statics=statics,
        twice=resolve_twice_nat(spec, facts, notes.append),
        routes=tuple(_routes(spec, uplinks)),
        own=resolve_own(spec, uplinks, notes.append),
        honoured=honoured,
        notes=tuple(notes),
    )


def _inside_sources(spec: GatewaySpec, facts: Facts, note: Note) -> None:
    """A rule may give an address of an inside network, to which answers come only if the gateway has it."""
    own = {interface.ip for fact in facts.links.values() for interface in fact.addresses}
    inside = [network for interface in spec.interfaces.values() for network in interface.networks]
    for rule in spec.source_nat:
        for address in (r.first for r in rule.as_.pool or () if r.size == 1):
            if address not in own and not facts.assumed and any(address in network for network in inside):
                note(
                    f"sourceNat {rule.name}: {address} is on no interface now; "
                    "answers to it come back only if their sender has a route to it through this gateway"
                )


def _forwards(
    spec: GatewaySpec,
    uplinks: Sequence[Uplink],
    inside_interfaces: Sequence[Inside],
    tenants: Mapping[str, Tenant],
    health: HealthFacts,
    before: Topology | None,
) -> ResolvedForwards:
    if (
        before is None
        or before.inside_interfaces != inside_interfaces
        or _for_forwards(before.uplinks) != _for_forwards(uplinks)
    ):
        return resolve_forwards(spec.forwards, uplinks, inside_interfaces, tenants, health)
    known: ResolvedForwards = {
        "forwards": before.forwards,
        "forward_rules": before.forward_rules,
        "servers": before.servers,
        "ambiguous_publics": before.ambiguous_publics,
        "suppressed_forwards": before.suppressed_forwards,
    }
    probed = {server.forward: spec.forwards[server.forward] for server in before.servers}
    if not probed:
        return known
    again = resolve_forwards(probed, uplinks, inside_interfaces, tenants, health)
    rules = (*(rule for rule in before.forward_rules if rule.name not in probed), *again["forward_rules"])
    return {
        **known,
        "forward_rules": tuple(
            sorted(rules, key=attrgetter("name"))
        ),  # stable: those of one forward stay as they are
        "servers": again["servers"],
    }


def _for_forwards(uplinks: Iterable[Uplink]) -> list[Uplink]:
    """What forwards do not depend on is left out."""
    return [
        replace(uplink, wire=(), health=UNKNOWN, route_mtus={}, clamped_mtus={}, announced=()) for uplink in uplinks
    ]


def _families(inside_interfaces: Iterable[Inside], uplinks: Iterable[Uplink]) -> tuple[Family, ...]:
    used = {network.version for inside in inside_interfaces for network in inside.networks}
    used |= {family for uplink in uplinks for family in uplink.families}
    return tuple(family for family in FAMILIES if family in used)


def _tenants(spec: GatewaySpec) -> dict[str, Tenant]:
    names = sorted({i.tenant for i in spec.interfaces.values() if i.tenant})
    first = spec.numbers.table
    return {name: Tenant(name, number, tenant_table(first, number)) for number, name in enumerate(names, start=1)}


def _dataplane(spec: GatewaySpec, facts: Facts, note: Note) -> Literal["kmod", "bpf"]:
    if spec.dataplane.type == "bpf":
        return "bpf"
    module = judge(facts.module)
    remedy = "; nvictl module status names the commands to run" if module.installed_in_vain else ""
    if spec.dataplane.type == "auto" and not module.usable:
        note(f"dataplane bpf: auto, and {module.why}{remedy}")
        return "bpf"
    if remedy:
        note(f"dataplane kmod: {module.why}{remedy}")
    return "kmod"


def _programs(dataplane: str, facts: Facts, note: Note) -> bool:
    """The eBPF dataplane needs programs; with the module only the guards are missing without them."""
    if not facts.programs and dataplane == "kmod":
        note(
            "uplinks: no program guards their egress, because eBPF programs cannot be loaded here: packets leave "
            "untranslated if the table and the FIB rules are deleted at the same time, and without the table the "
            "gateway takes packets whose source is one of its own addresses"
        )
    return facts.programs or dataplane == "bpf"


def _name_inside_among_uplinks(spec: GatewaySpec, facts: Facts, note: Note) -> None:
    """The group is not corrected: only the owner of the interface knows which one it should have."""
    uplinks = {uplink.interface for uplink in spec.uplinks.values()}
    for ifname in sorted(spec.interfaces.keys() - uplinks):
        link = facts.links.get(ifname)
        if link is not None and link.group == spec.numbers.link_group:
            note(
                f"{ifname}: is in link group {link.group}, that of the uplinks, so that nothing is sent to the "
                f"networks behind it; ip link set {ifname} group default"
            )


def _name_earlier_programs(spec: GatewaySpec, facts: Facts, dataplane: str, note: Note) -> None:
    device = facts.links.get(spec.dataplane.device)
    if device is not None and device.tcx_egress and dataplane == "bpf":
        note(
            f"{device.ifname}: tcx egress has {', '.join(device.tcx_egress)}, before the gateway's own program: a "
            "packet for which it does not end in TCX_NEXT (-1) is dropped"
        )


def _in_interface(spec: GatewaySpec, note: Note) -> Literal["mark", "skb_iif"]:
    chosen = spec.dataplane.in_interface
    if chosen != "auto":
        return chosen
    if any(interface.tenant for interface in spec.interfaces.values()):
        note("inInterface skb_iif: auto, and tenants need the mark")
        return "skb_iif"
    if spec.dataplane.keep_marks:
        note("inInterface skb_iif: auto, and keepMarks leaves the mark to others")
        return "skb_iif"
    return "mark"


def _reverse_path(spec: GatewaySpec, facts: Facts) -> Iterable[tuple[str, int]]:
    """The larger of `all` and an interface's own counts: where `all` becomes 0, others' interfaces get its value."""
    everywhere = facts.reverse_path.get("all", 0)
    taking_part = {*spec.interfaces, *(u.interface for u in spec.uplinks.values()), spec.dataplane.device}
    for name in sorted(facts.reverse_path.keys() - taking_part - {"all", "lo"}):
        yield name, everywhere


def _local(facts: Facts) -> Iterable[tuple[str, Address]]:
    """What the kernel's table `local` has of interfaces. Those of a VRF are in a table of their own."""
    for ifname, fact in sorted(facts.links.items()):
        master = facts.links.get(fact.master) if fact.master else None
        if "vrf" not in (fact.kind, master and master.kind):
            for address in sorted({i.ip for i in (*fact.addresses, *fact.narrow)}, key=lambda a: (a.version, a)):
                yield ifname, address


def _displaced(spec: GatewaySpec, facts: Facts) -> Iterable[Network]:
    """An interface keeps its link group under another name, and its addresses: they are still those of an uplink."""
    uplinks = {uplink.interface for uplink in spec.uplinks.values()}
    for ifname, fact in sorted(facts.links.items()):
        if fact.group == spec.numbers.link_group and ifname not in uplinks:
            yield from (ip_network(interface.ip) for interface in fact.addresses)


def _interface(ifname: str, facts: Facts, note: Note) -> Interface:
    fact = facts.links.get(ifname)
    if fact is None:
        for link in facts.links.values():
            if ifname in link.altnames:
                raise CapabilityError(
                    f"{ifname}: an alternative name of {link.ifname}: nft and FIB rules match only the name itself",
                    hint=f"write {link.ifname} in the spec",
                )
        note(f"{ifname}: interface not found; its rules and routes are omitted until it appears")
        return Interface(ifname, None, None, up=False, carrier=False)
    if fact.master is not None:
        note(f"{ifname}: is a port of {fact.master}; packets come in by {fact.master}, so name that in the spec")
    if not fact.up:
        note(f"{ifname}: is down; its routes are omitted until it is up")
    elif not fact.carrier:
        note(f"{ifname}: has no carrier")
    return Interface(ifname, fact.ifindex, fact.mac, fact.up, fact.carrier)


def _uplinks(spec: GatewaySpec, facts: Facts, delegated: Delegated, note: Note) -> tuple[Uplink, ...]:
    alone = len(spec.uplinks) == 1
    addresses = find_addresses(spec, facts)
    for text in (*addresses.notes, *addresses.conflicts):
        note(text)
    return tuple(
        _uplink(name, slot, spec, spec.uplinks[name], facts, addresses.of[name], delegated, alone, note)
        for slot, name in enumerate(sorted(spec.uplinks), start=1)
    )


def _uplink(
    name: str,
    slot: int,
    spec: GatewaySpec,
    uplink: UplinkSpec,
    facts: Facts,
    addresses: tuple[Address, ...],
    delegated: Delegated,
    alone: bool,
    note: Note,
) -> Uplink:
    interface = _interface(uplink.interface, facts, note)
    fact = facts.links.get(uplink.interface)
    waits = uplink.next_hop == "auto" or not uplink.translate_to
    if uplink.addresses == "auto" and not addresses and waits:
        own = "has no address now" if fact is None or not fact.addresses else "has no address of its own now"
        note(f"uplink {name}: {uplink.interface} {own}; packets that need one are dropped until it has one")
    beside = networks_beside(addresses, fact)
    if uplink.next_hop == "auto":
        next_hops, direct = _found_routers(name, uplink, fact, beside, note) if fact else ({}, frozenset())
    else:
        next_hops, direct = {hop.version: str(hop) for hop in uplink.next_hop or ()}, frozenset()
    routed = (*(uplink.routed or ()), *delegated.of.get(name, ()))
    for family in FAMILIES:
        missing = family not in next_hops and family not in direct
        if uplink.next_hop == "auto" and missing and any(a.version == family for a in addresses):
            note(f"uplink {name}: main has no IPv{family} default route through {uplink.interface} now")
    for family, ifname in _own_routers(next_hops, facts):
        note(
            f"uplink {name}: its IPv{family} router {next_hops[family]} is this gateway's own address, on {ifname}: "
            "the kernel takes no such router; renumber one of the networks"
        )
        next_hops = {version: hop for version, hop in next_hops.items() if version != family}
    if fact and fact.crowded:
        note(
            f"uplink {name}: main has more than {MOST_ROUTES} networks through {uplink.interface}: those that are "
            "not connected are reached through the uplink's router"
        )
    known = {item.version for item in (*addresses, *routed)} | set(next_hops) | direct
    return Uplink(
        name=name,
        slot=slot,
        table=uplink_table(spec.numbers.table, slot),
        interface=interface,
        next_hops=next_hops,
        point_to_point=uplink.next_hop is None,
        direct=direct,
        addresses=tuple(addresses),
        on_link=tuple(interface.network for interface in fact.addresses) if fact else (),
        beside=beside,
        wire=fact.routes if fact else (),
        routed=routed,
        translate_to=uplink.translate_to or (),
        default=name in spec.default_uplink.first if spec.default_uplink else uplink.default or alone,
        weight=uplink.weight,
        families=frozenset(family for family in FAMILIES if family in known),
        dynamic=uplink.addresses == "auto" or uplink.next_hop == "auto",
        health=facts.health.uplinks.get(name, UNKNOWN),
        announced=announced(name, uplink, fact, next_hops, note),
        route_mtus=dict(fact.route_mtus) if fact else {},
        clamped_mtus=_path_mtus(fact) if fact and uplink.clamp_mss else {},
    )


def _own_routers(next_hops: Mapping[Family, str], facts: Facts) -> Iterable[tuple[Family, str]]:
    """Most routers of homes are 192.168.1.1, and so may the gateway be inside."""
    own = {interface.ip: ifname for ifname, fact in facts.links.items() for interface in fact.addresses}
    return [(family, own[hop]) for family in FAMILIES if (hop := _address(next_hops.get(family))) in own]


def _address(text: str | None) -> Address | None:
    return ip_address(text) if text else None


def _path_mtus(fact: LinkFact) -> dict[Family, int]:
    """What fits at the beginning of the path: less than the link's MTU where a lease or a router advertises it."""
    routes = dict(fact.route_mtus)
    known = {4: (fact.mtu, routes.get(4)), 6: (fact.mtu, fact.mtu6, routes.get(6))}
    return {family: min(mtus) for family in FAMILIES if (mtus := [mtu for mtu in known[family] if mtu])}


def _found_routers(
    name: str,
    uplink: UplinkSpec,
    fact: LinkFact,
    beside: Iterable[tuple[Network, Address]],
    note: Note,
) -> tuple[Mapping[Family, str], frozenset[Family]]:
    """The default router of each family, and the families that need none.

    Where the addresses are written the router in a network of one of them is it; else the one of the best metric, and
    of one metric the one that advertises itself as preferred.
    """
    written = [network for network, _ in beside] if uplink.addresses != "auto" else []
    found: dict[Family, str] = {}
    for family in FAMILIES:
        routers = [hop for version, hop in fact.next_hops if version == family]
        near = [hop for hop in routers if any(ip_address(hop) in network for network in written)]
        if not routers or (family in fact.direct and not near):
            continue
        found[family] = (near or routers)[0]
        others = [hop for hop in routers if hop != found[family]]
        if others:
            why = "in the network of its address" if near else "of the best metric"
            rest = ", ".join(others[:3])
            note(
                f"uplink {name}: its IPv{family} router is {found[family]} ({why}); {rest} could be as well: "
                "name the one under nextHop"
            )
    return found, fact.direct - found.keys()


def _routes(spec: GatewaySpec, uplinks: Sequence[Uplink]) -> Iterable[RouteEntry]:
    by_name = {uplink.name: uplink for uplink in uplinks}
    for route in spec.routes:
        ifnames = tuple(name for name in route.in_ or () if name != SELF)
        for family in FAMILIES if ifnames or not route.in_ else ():
            sources = tuple(n for n in route.from_ or () if n.version == family)
            destinations = tuple(n for n in route.to or () if n.version == family)
            if (route.from_ and not sources) or (route.to and not destinations):
                continue
            if route.except_ is not None:
                asked, led = sources, destinations
                sources = networks_without(asked, route.except_.from_ or (), family)
                destinations = networks_without(led, route.except_.to or (), family)
                if (asked and not sources) or (led and not destinations):
                    continue
            way = first_working(route.via.first, by_name, family)
            via = way.name if way else route.via.first[0]
            yield RouteEntry(route.name, Conditions(family, sources, destinations, ifnames, mark=route.mark), via)
