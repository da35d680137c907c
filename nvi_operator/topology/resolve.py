"""Spec + facts -> Topology.

Assumes a spec that `language/check/gateway.py` has passed; what a host lacks becomes a note, not an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_network

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import FAMILIES, Address, Family, Network
from nvi_operator.topology.dataplane import choose_dataplane, choose_in_interface, has_programs, name_earlier_programs
from nvi_operator.topology.delegated import delegated_networks, find_delegated, resolve_prefix_nat
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.far_side import with_far_networks
from nvi_operator.topology.flow_cache import resolve_flow_cache
from nvi_operator.topology.foreign_rules import judge_rules, judge_rules_before
from nvi_operator.topology.forwards import resolve_forwards, resolve_forwards_again
from nvi_operator.topology.inside import resolve_inside, resolve_tenants
from nvi_operator.topology.interfaces import Inside, Uplink
from nvi_operator.topology.model import Topology
from nvi_operator.topology.notes import Note
from nvi_operator.topology.numbers import Priorities
from nvi_operator.topology.own import name_sourceless, resolve_own
from nvi_operator.topology.redirects import left_alone, resolve_redirects
from nvi_operator.topology.routes import resolve_routes
from nvi_operator.topology.source_nat import resolve_source_nat
from nvi_operator.topology.static import resolve_static
from nvi_operator.topology.twice_nat import resolve_twice_nat
from nvi_operator.topology.uplinks import resolve_uplinks
from nvi_operator.topology.ways import default_ways
from nvi_operator.topology.without_effect import forwards_without_way, left_to_other_rules, rules_without_effect


def resolve(name: str, spec: GatewaySpec, facts: Facts, before: Topology | None = None) -> Topology:
    """The gateway `name` as this host can be it now. Pure: equal input, equal output.

    `before` is the topology of the same spec on other facts: what does not depend on the difference is taken from it,
    because it may be large.
    """
    notes: list[str] = []
    note = notes.append
    tenants = resolve_tenants(spec)
    delegated = find_delegated(spec, facts, note)
    uplinks = with_far_networks(spec, resolve_uplinks(spec, facts, delegated, note), note)
    inside_interfaces = resolve_inside(spec, facts, tenants, delegated_networks(spec, delegated, note), note)
    notes += rules_without_effect(spec, facts, uplinks)
    dataplane = choose_dataplane(spec, facts, note)
    name_earlier_programs(spec, facts, dataplane, note)
    given = (spec.forwards, uplinks, inside_interfaces, tenants, facts.health)
    forwards = resolve_forwards(*given) if before is None else resolve_forwards_again(before, *given)
    _name_suppressed(forwards["suppressed_forwards"], note)
    notes += forwards_without_way(spec, uplinks, inside_interfaces, forwards["forwards_elsewhere"])
    local = tuple(_local(facts))
    defaults = tuple(default_ways(spec, uplinks, facts))
    if not facts.assumed:
        name_sourceless(defaults, uplinks, [address for _, address in local], note)
    redirects = resolve_redirects(spec, inside_interfaces, local, note)
    notes += left_alone(spec, inside_interfaces, uplinks)
    statics = resolve_static(spec.static, uplinks, inside_interfaces, tenants, note)
    statics += tuple(resolve_prefix_nat(spec, delegated, uplinks, note))
    honoured, not_honoured = judge_rules(spec, facts)
    notes += map(str, not_honoured)
    bypassed_by = tuple(_name_rules_before(spec, facts, note))
    _name_refusals(facts, note)
    source_rules = resolve_source_nat(spec, uplinks, inside_interfaces, tenants, note)
    notes += left_to_other_rules(spec, source_rules, inside_interfaces)
    families = _families(inside_interfaces, uplinks)
    interfaces = {i.ifname: i for i in (*(i.interface for i in inside_interfaces), *(u.interface for u in uplinks))}
    flow_cache = resolve_flow_cache(spec, facts, dataplane, families, interfaces.values(), note)
    return Topology(
        name=name,
        dataplane=dataplane,
        device=spec.dataplane.device,
        in_interface=choose_in_interface(spec, note),
        stage_mask=1 << spec.dataplane.stage_bit,
        local_mask=1 << spec.dataplane.local_bit,
        hide_hop=spec.dataplane.hide_hop,
        ipsec=spec.dataplane.ipsec,
        reverse_path=tuple(_reverse_path(spec, facts)),
        programs=has_programs(dataplane, facts, note),
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
        source_rules=source_rules,
        **forwards,
        redirects=redirects,
        statics=statics,
        twice=resolve_twice_nat(spec, facts, note),
        routes=tuple(resolve_routes(spec, uplinks)),
        own=resolve_own(spec, uplinks, note),
        honoured=honoured,
        bypassed_by=bypassed_by,
        notes=tuple(notes),
    )


def _name_suppressed(forwards: Sequence[str], note: Note) -> None:
    for name in forwards:
        note(f"forward {name}: omitted: its public address is now an uplink's, and another forward uses the port")


def _name_rules_before(spec: GatewaySpec, facts: Facts, note: Note) -> Iterator[str]:
    """Foreign FIB rules that take packets past the gateway; yields those that leave it none.

    With `ipsec` networks that others route are meant to be: strongSwan's are in table 220, before all.
    """
    for rule, taken in judge_rules_before(spec, facts):
        if taken.extent == "networks" and spec.dataplane.ipsec:
            continue
        what = f"{rule.command}: {rule}: {taken.what}"
        note(f"{what}; nvictl doctor says how to move it")
        if taken.everything:
            yield what


def _name_refusals(facts: Facts, note: Note) -> None:
    for family in sorted(facts.refuses):
        note(
            f"main: its IPv{family} default route refuses: stage 2 looks up networks in main, and what inside hosts "
            "send elsewhere ends there; delete that route: the uplinks' tables end in one themselves"
        )


def _families(inside_interfaces: Sequence[Inside], uplinks: Sequence[Uplink]) -> tuple[Family, ...]:
    used = {network.version for inside in inside_interfaces for network in inside.networks}
    used |= {family for uplink in uplinks for family in uplink.families}
    return tuple(family for family in FAMILIES if family in used)


def _reverse_path(spec: GatewaySpec, facts: Facts) -> Iterator[tuple[str, int]]:
    """The larger of `all` and an interface's own counts: where `all` becomes 0, others' interfaces get its value."""
    everywhere = facts.reverse_path.get("all", 0)
    taking_part = {*spec.interfaces, *(u.interface for u in spec.uplinks.values()), spec.dataplane.device}
    for name in sorted(facts.reverse_path.keys() - taking_part - {"all", "lo"}):
        yield name, everywhere


def _local(facts: Facts) -> Iterator[tuple[str, Address]]:
    """What the kernel's table `local` has of interfaces. Those of a VRF are in a table of their own."""
    for ifname, fact in sorted(facts.links.items()):
        master = facts.links.get(fact.master) if fact.master else None
        if "vrf" not in (fact.kind, master and master.kind):
            for address in sorted({i.ip for i in (*fact.addresses, *fact.narrow)}, key=lambda a: (a.version, a)):
                yield ifname, address


def _displaced(spec: GatewaySpec, facts: Facts) -> Iterator[Network]:
    """An interface keeps its link group under another name, and its addresses: they are still those of an uplink."""
    uplinks = {uplink.interface for uplink in spec.uplinks.values()}
    for ifname, fact in sorted(facts.links.items()):
        if fact.group == spec.numbers.link_group and ifname not in uplinks:
            yield from (ip_network(interface.ip) for interface in fact.addresses)
