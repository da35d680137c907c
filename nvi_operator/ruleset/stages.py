"""The first and the last chain of stage 1: raw, which stage 2 leaves at once, and the mark hook, its proof."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.language.model.values import Family, Network, within
from nvi_operator.nft.ast import (
    Assign,
    Chain,
    Count,
    Element,
    Field,
    Hook,
    Lookup,
    Masked,
    Match,
    NamedSet,
    Notrack,
    Rule,
    SetBits,
    SetRef,
    Statement,
    Verdict,
    Vmap,
)
from nvi_operator.ruleset import fields as f
from nvi_operator.ruleset.prefix_sets import owners
from nvi_operator.ruleset.shards import declared_size
from nvi_operator.topology.model import Conditions, Tenant, Topology, fewest

RAW_PRIORITY = -450  # before defragmentation (-400): at -300 stage 2 would defragment again
MARK_PRIORITY = 2147483647  # INT_MAX, that of conntrack confirm
_STAGE_2 = "stage_2"
COUNTERS = frozenset({"stage_1", "stage_2", "spoofed", "untracked", "unanswered", "marked_after_confirm"})


def raw_chains(topology: Topology) -> Iterator[Chain]:
    """Stage 2 leaves our table at once and untracked; stage 1 is checked for spoofed sources."""
    done = (Count("stage_2"), Notrack())
    by_map = [rule for family in topology.families for rule in _uplink_marks(topology, family)]
    if by_map:
        yield Chain(_STAGE_2, None, (*by_map, (*done, f.ACCEPT)))
    rules: list[Rule] = [(f.is_stage_2(topology), *((Verdict("jump", _STAGE_2),) if by_map else (*done, f.RETURN)))]
    rules += _anti_spoof(topology)
    if topology.tenants:
        zones = frozenset(
            ((inside.interface.ifname,), (inside.tenant,)) for inside in topology.inside_interfaces if inside.tenant
        )
        rules.append((Assign(Field("ct original zone"), Lookup(f.IIFNAME, zones)),))
    yield Chain("raw_prerouting", Hook("filter", "prerouting", RAW_PRIORITY), tuple(rules))


def _uplink_marks(topology: Topology, family: Family) -> Iterator[Rule]:
    """Past a few dozen sources a map finds the uplink; the mark then chooses one FIB rule per uplink."""
    taken = f.TENANT_MASK if topology.tenants else 0
    for named in uplink_maps(topology, family):
        untaken = (Match(Masked(f.META_MARK, taken), "==", 0),) if taken else ()
        yield (*untaken, Assign(f.META_MARK, Lookup(f.saddr(family), SetRef(named.name))))
        taken |= UPLINK_MARK_MASK  # by the map before


def uplink_maps(topology: Topology, family: Family) -> tuple[NamedSet, ...]:
    """Translated source -> mark; none where FIB rules say it."""
    if not topology.by_source_map:
        return ()
    owned = ((n, (uplink_mark(topology, u.slot),)) for u in topology.uplinks for n in u.sources(family))
    return owners(f"uplink_of_{family}", family, owned, ("mark",))


def uplink_mark(topology: Topology, slot: int) -> int:
    """What the mark of a stage-2 packet is when its source belongs to this uplink."""
    assert slot <= UPLINK_MARK_MASK >> 8  # language/check/uplinks.py bounds it
    return topology.stage_mask | slot << 8


def answer_mark(topology: Topology, slot: int) -> int:
    """What an answer bears that another tool translates and that leaves by this uplink."""
    return topology.local_mask | slot << 8


UPLINK_MARK_MASK = 0xFF00


def _anti_spoof(topology: Topology) -> Iterator[Rule]:
    """accept_local lets a host use one of the gateway's own addresses; this does not. IPv6 never checks.

    Nor may an inside source come from an uplink, where we took the kernel's own check (rp_filter) away.
    Where networks overlap the check is per interface: host-wide it would drop legitimate far hosts.
    Link-local addresses are left out: a neighbour may well share fe80::1 with one of our interfaces.
    """
    if topology.guards.anti_spoof == "off":
        return
    is_local = Match(Field(f"fib {'saddr . iif' if topology.tenants else 'saddr'} type"), "==", "local")
    # Not of packets that come in by `lo` or by the device: asked last, because few sources are local.
    from_outside = (Match(f.IIF, "!=", 1), Match(f.IIFGROUP, "!=", topology.device_group))
    if 4 in topology.families:
        yield (f.of_family(4), is_local, *from_outside, *f.drop("spoofed"))
    if 6 in topology.families:
        yield (Match(f.saddr(6), "!=", "fe80::/10"), is_local, *from_outside, *f.drop("spoofed"))
    outside = tuple(name for name in topology.uplink_ifnames if not topology.may_share_addresses(name))
    for family in topology.families:
        networks = topology.inside_networks(family)
        if outside and networks:
            inside = f.in_set(f.saddr(family), f"inside_{family}", networks)
            outer = (*_not_expected(topology, outside), f.one_of(f.IIFNAME, outside))
            yield (inside, *_not_beside(topology, family), *outer, *f.drop("spoofed"))
    yield from _not_from_there(topology)
    if topology.guards.anti_spoof == "strict":
        missing = Match(Field("fib saddr . iif oif"), "==", "missing")
        checked = tuple(p.ifname for p in topology.interfaces if not topology.may_share_addresses(p.ifname))
        ports = f.one_of(f.IIFNAME, checked)
        if 4 in topology.families:
            yield (Match(f.saddr(4), "!=", "0.0.0.0"), ports, missing, *f.drop("spoofed"))
        if 6 in topology.families:
            yield (
                Match(f.saddr(6), "!=", frozenset({"fe80::/10", "::"})),
                ports,
                missing,
                *f.drop("spoofed"),
            )


def _not_from_there(topology: Topology) -> Iterator[Rule]:
    """What is behind one uplink does not come by another: its answers would leave untranslated."""
    for family in topology.families:
        for uplink in topology.uplinks:
            far = tuple(n for n in uplink.far if n.version == family)
            ways = {u.interface.ifname for u in topology.uplinks if any(_overlap(n, m) for n in u.far for m in far)}
            others = tuple(name for name in topology.uplink_ifnames if name not in ways)
            if far and others:
                yield (f.in_networks(f.saddr(family), far), f.one_of(f.IIFNAME, others), *f.drop("spoofed"))


def _overlap(left: Network, right: Network) -> bool:
    return left.version == right.version and left.overlaps(right)


def _not_beside(topology: Topology, family: Family) -> Iterator[Match]:
    """A wide inside network may hold an uplink's own: its router is no inside host.

    Only a part of one: a lease with the numbers of an inside network, or wider ones, makes no outsider an insider.
    """
    beside = fewest((n for u in topology.uplinks for n in u.on_link), family)
    insides = topology.inside_networks(family)
    overlapping = tuple(n for n in beside if any(within(n, i) and n != i for i in insides))
    if overlapping:
        yield f.in_networks(f.saddr(family), overlapping, op="!=")


def _not_expected(topology: Topology, outside: tuple[str, ...]) -> Iterator[Match]:
    """Inside sources come from inside: where that is one interface, its name spares the lookup of the others'."""
    names = {inside.interface.ifname for inside in topology.inside_interfaces}
    if len(names) == 1 and not names & set(outside) and len(outside) > 1:
        yield Match(f.IIFNAME, "!=", names.pop())


# --------------------------------------------------------------------------- the mark hook


_CHECK = "mark_check"
_CHECKS: tuple[Rule, ...] = (
    # Here for the second time: stage 2 is untracked. The device knows it, too, by a tag that only a tc filter
    # on the in-interface can take away.
    (Match(f.CT_STATE, "in", frozenset({"untracked"})), *f.drop("untracked")),
    # Of two hooks at INT_MAX the one registered later runs earlier; this tells which it was.
    (Match(Masked(f.CT_STATUS, "confirmed"), "==", "confirmed"), Count("marked_after_confirm")),
)


def mark_chains(topology: Topology) -> Iterator[Chain]:
    """Write the stage bit (and the in-interface, or the tenant) on every packet that enters the device."""
    rules: list[Rule] = [
        (f.leaves_by_device(topology, op="!="), f.RETURN),
        # Neither is what most packets are: one question for both.
        (Match(f.CT_STATE, "in", frozenset({"new", "untracked"})), Verdict("jump", _CHECK)),
        (Count("stage_1"),),
    ]
    if topology.in_interface == "mark":
        rules.append((Assign(f.META_MARK, Lookup(f.IIF, SetRef("ifindex_mark"))),))
    elif not topology.tenants:
        rules.append((SetBits(f.META_MARK, topology.stage_mask, topology.local_mask),))
    else:
        rules += _tenant_marks(topology)
        yield from (_tenant_chain(topology, tenant) for tenant in topology.tenants)
    yield Chain("mark_hook", Hook("filter", "postrouting", MARK_PRIORITY), tuple(rules))
    yield Chain(_CHECK, None, (*_CHECKS, *_unanswered(topology)))


def _unanswered(topology: Topology) -> Iterator[Rule]:
    """Counted at the opening of a flow, so that no other packet pays for it: answers end at the FIB backstop."""
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
            yield (*_reversed(conditions), f.RETURN)
        yield (
            f.one_of(f.IIFNAME, topology.uplink_ifnames),
            asked,
            *_not_routed_here(topology, family),
            Match(f.CT_STATUS, "not in", frozenset({"dnat"})),
            Count("unanswered"),
        )


def _reversed(conditions: Conditions) -> Iterator[Match]:
    """From where a line leads that leaves sources as they are, to those sources."""
    if conditions.destinations:
        yield f.in_networks(f.saddr(conditions.family), conditions.destinations)
    if conditions.sources:
        yield f.in_networks(f.daddr(conditions.family), conditions.sources)


def _not_routed_here(topology: Topology, family: Family) -> Iterator[Match]:
    """Inside networks with public addresses answer without translation."""
    public = fewest((n for u in topology.uplinks for n in u.sources(family)), family)
    overlapping = tuple(n for n in public if any(n.overlaps(i) for i in topology.inside_networks(family)))
    if overlapping:
        yield f.in_networks(f.daddr(family), overlapping, op="!=")


def _tenant_marks(topology: Topology) -> Iterator[Rule]:
    """The tenant in whose network the packet's destination lies: the target's, or for replies the origin's."""
    clear = topology.local_mask | f.TENANT_MASK | UPLINK_MARK_MASK
    yield (SetBits(f.META_MARK, topology.stage_mask, clear),)
    jumps = {tenant.number: Verdict("jump", f"tenant_{tenant.label}") for tenant in topology.tenants}
    for direction, mask, shift in (
        ("original", f.TARGET_MASK, 0),
        ("reply", f.ORIGIN_MASK, f.ORIGIN_SHIFT),
    ):
        elements: frozenset[Element] = frozenset(((n << shift,), jump) for n, jump in jumps.items())
        yield (Match(f.CT_DIRECTION, "==", direction), Vmap(Masked(f.CT_MARK, mask), elements))


def _tenant_chain(topology: Topology, tenant: Tenant) -> Chain:
    bits: tuple[Statement, ...] = (SetBits(f.META_MARK, tenant.number),)
    return Chain(f"tenant_{tenant.label}", None, (bits,))


def mark_map(topology: Topology) -> NamedSet:
    """In-interface -> mark, by number, so that a renamed interface goes on working. 0: the gateway itself."""
    known = [interface.ifindex for interface in topology.interfaces if interface.ifindex is not None]
    elements: frozenset[Element] = frozenset(((n,), (topology.stage_mask | n,)) for n in [0, *known])
    return NamedSet("ifindex_mark", ("iface_index",), elements, ("mark",), size=declared_size(len(elements)))
