"""The last chain of stage 1, behind conntrack confirm: the stage bit that it sets is the proof that stage 1 ran."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.language.model.values import Family
from nvi_operator.nft.ast import (
    Assign,
    Chain,
    Count,
    Element,
    Hook,
    Lookup,
    Masked,
    Match,
    NamedSet,
    Rule,
    SetBits,
    SetRef,
    Statement,
    Verdict,
    Vmap,
)
from nvi_operator.ruleset import fields as f
from nvi_operator.topology.interfaces import Tenant
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import MARK_HOOK, ORIGIN_MASK, ORIGIN_SHIFT, TARGET_MASK, TENANT_MASK, UPLINK_MASK
from nvi_operator.topology.prefixes import fewest
from nvi_operator.topology.rules import Conditions

COUNTERS = frozenset({"stage_1", "untracked", "unanswered", "marked_after_confirm"})
_CHECK = "mark_check"
_NO_TENANT = "no_tenant"
_HAS_NO_TENANT = Match(Masked(f.META_MARK, TENANT_MASK), "==", 0)
_CHECKS: tuple[Rule, ...] = (
    # Here for the second time: stage 2 is untracked. The device also tells, by a tag that only a tc filter on the
    # in-interface can remove.
    (Match(f.CT_STATE, "in", frozenset({"untracked"})), *f.drop("untracked")),
    # Of two hooks at INT_MAX the one registered later runs earlier; this tells which it was.
    (Match(Masked(f.CT_STATUS, "confirmed"), "==", "confirmed"), Count("marked_after_confirm")),
)


def counters(topology: Topology) -> frozenset[str]:
    return COUNTERS | {_NO_TENANT} if _has_several(topology) else COUNTERS


def mark_chains(topology: Topology) -> Iterator[Chain]:
    """Write the stage bit (and the in-interface, or the tenant) on every packet that enters the device."""
    rules: list[Rule] = [
        (f.leaves_by_device(topology, op="!="), f.RETURN),
        # Most packets are neither: one match for both.
        (Match(f.CT_STATE, "in", frozenset({"new", "untracked"})), Verdict("jump", _CHECK)),
        (Count("stage_1"),),
    ]
    if topology.in_interface == "mark":
        rules.append((Assign(f.META_MARK, Lookup(f.IIF, SetRef("ifindex_mark"))),))
    elif not topology.tenants:
        rules.append((SetBits(f.META_MARK, topology.stage_mask, topology.local_mask),))
    else:
        rules += _tenant_marks(topology)
        yield from (_tenant_chain(tenant) for tenant in topology.tenants)
        yield from _no_tenant_chain(topology)
    yield Chain("mark_hook", Hook("filter", "postrouting", MARK_HOOK), tuple(rules))
    yield Chain(_CHECK, None, (*_CHECKS, *_unanswered(topology)))


def _unanswered(topology: Topology) -> Iterator[Rule]:
    """Counted when a flow opens, so that no other packet pays for it: its answers end at the FIB backstop."""
    if not topology.uplinks:
        return
    for family in topology.families:
        inside = topology.inside_networks(family)
        if not inside:
            continue
        asked = f.in_set(f.daddr(family), f"inside_{family}", inside)
        for ifname in topology.uplink_ifnames:
            far = topology.far(family, ifname)
            if far:
                yield (Match(f.IIFNAME, "==", ifname), f.in_networks(f.saddr(family), far), asked, f.RETURN)
        for conditions in topology.unchanged(family):
            yield from ((*matches, f.RETURN) for matches in _reversed(conditions))
        yield (
            f.one_of(f.IIFNAME, topology.uplink_ifnames),
            asked,
            *_not_routed_here(topology, family),
            Match(f.CT_STATUS, "not in", frozenset({"dnat"})),
            Count("unanswered"),
        )


def _reversed(conditions: Conditions) -> Iterator[list[Statement]]:
    """The reverse of a rule that leaves sources untranslated: flows whose answers are packets that it is about."""
    ends = Conditions(
        conditions.family,
        conditions.destinations,
        conditions.sources,
        protocols=conditions.protocols,
        excepted=conditions.excepted,
    )
    for ports in f.by_protocol(conditions, reverse=True):
        yield f.of_conditions(ends, ports)


def _not_routed_here(topology: Topology, family: Family) -> Iterator[Match]:
    """Inside networks with public addresses answer without translation."""
    public = fewest((n for u in topology.uplinks for n in u.sources(family)), family)
    overlapping = tuple(n for n in public if any(n.overlaps(i) for i in topology.inside_networks(family)))
    if overlapping:
        yield f.in_networks(f.daddr(family), overlapping, op="!=")


def _tenant_marks(topology: Topology) -> Iterator[Rule]:
    """The tenant of the packet's destination: that of the target, or of the origin for replies."""
    clear = topology.local_mask | TENANT_MASK | UPLINK_MASK
    yield (SetBits(f.META_MARK, topology.stage_mask, clear),)
    jumps = {number: Verdict("jump", f"tenant_{label}") for number, label in topology.tenant_labels.items()}
    for direction, mask, shift in (
        ("original", TARGET_MASK, 0),
        ("reply", ORIGIN_MASK, ORIGIN_SHIFT),
    ):
        elements: frozenset[Element] = frozenset(((n << shift,), jump) for n, jump in jumps.items())
        yield (Match(f.CT_DIRECTION, "==", direction), Vmap(Masked(f.CT_MARK, mask), elements))
    for family in topology.families:
        networks = topology.of_several_tenants(family)
        if networks:
            yield (_HAS_NO_TENANT, f.in_networks(f.daddr(family), networks), Verdict("jump", _NO_TENANT))


def _no_tenant_chain(topology: Topology) -> Iterator[Chain]:
    """To an address that several tenants have, and no flow tells whose: the in-interface does, or the packet ends.

    Main would give all of them to the tenant whose connected route is first. Twice NAT has its own rule for the way.
    """
    if not _has_several(topology):
        return
    rules: list[Rule] = [
        (
            f.in_networks(f.saddr(entry.far.version), (entry.mapped,)),
            f.in_networks(f.daddr(entry.far.version), (entry.far,)),
            f.RETURN,
        )
        for entry in topology.twice
    ]
    elements: frozenset[Element] = frozenset(
        ((inside.interface.ifname,), Verdict("jump", f"tenant_{topology.tenant_labels[inside.tenant]}"))
        for inside in topology.inside_interfaces
        if inside.tenant
    )
    rules += [(Vmap(f.IIFNAME, elements),), (_HAS_NO_TENANT, *f.drop(_NO_TENANT))]
    yield Chain(_NO_TENANT, None, tuple(rules))


def _has_several(topology: Topology) -> bool:
    return any(topology.of_several_tenants(family) for family in topology.families)


def _tenant_chain(tenant: Tenant) -> Chain:
    bits: tuple[Statement, ...] = (SetBits(f.META_MARK, tenant.number),)
    return Chain(f"tenant_{tenant.label}", None, (bits,))


def mark_map(topology: Topology) -> NamedSet:
    """In-interface -> mark, by number, so that a renamed interface keeps working. 0: the gateway itself."""
    known = [interface.ifindex for interface in topology.interfaces if interface.ifindex is not None]
    elements: frozenset[Element] = frozenset(((n,), (topology.stage_mask | n,)) for n in [0, *known])
    return NamedSet("ifindex_mark", ("iface_index",), elements, ("mark",))
