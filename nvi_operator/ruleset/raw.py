"""The first chain of each pass: stage 2 leaves it at once, stage 1 is checked for spoofed sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nvi_operator.language.model.values import Family, Network
from nvi_operator.nft.ast import (
    Assign,
    Chain,
    Count,
    Field,
    Hook,
    Lookup,
    Masked,
    Match,
    NamedSet,
    Notrack,
    Rule,
    SetRef,
    Verdict,
)
from nvi_operator.ruleset import fields as f
from nvi_operator.ruleset import guard
from nvi_operator.ruleset.prefix_sets import prefix_sets
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import RAW, TENANT_MASK, UPLINK_MASK, uplink_bits
from nvi_operator.topology.prefixes import apart, fewest

_STAGE_2, _SPOOFED = "stage_2", "spoofed_source"
_NO_WAY_BACK = Match(Field("fib saddr . iif oif"), "==", "missing")  # by the interface that the packet came in by
_LEASE = Match(Field("udp sport"), "==", 67), Match(Field("udp dport"), "==", 68)  # of DHCP servers
COUNTERS = frozenset({"stage_2", "spoofed"})


def raw_chains(topology: Topology) -> Iterator[Chain]:
    """Stage 2 leaves the table at once and untracked; stage 1 is checked for spoofed sources."""
    done = (Count("stage_2"), Notrack())
    foreign = tuple(_foreign_sources(topology))
    by_map = [rule for family in topology.families for rule in _uplink_marks(topology, family)]
    if by_map:
        yield Chain(_STAGE_2, None, (*by_map, (*done, f.ACCEPT)))
    rules: list[Rule] = [(f.is_stage_2(topology), *((Verdict("jump", _STAGE_2),) if by_map else (*done, f.RETURN)))]
    rules += _own_sources(topology)
    rules += ((*matches, Verdict("jump", _SPOOFED)) for matches in foreign)
    if topology.tenants:
        zones = frozenset(
            ((inside.interface.ifname,), (inside.tenant,)) for inside in topology.inside_interfaces if inside.tenant
        )
        rules.append((Assign(Field("ct original zone"), Lookup(f.IIFNAME, zones)),))
    yield Chain("raw_prerouting", Hook("filter", "prerouting", RAW), tuple(rules))
    if foreign:
        families = topology.families if topology.uplinks else ()
        errors = ((f.is_icmp_error(family), f.RETURN) for family in families)
        leases = ((f.of_family(family), *_LEASE, f.RETURN) for family in families if family == 4)
        yield Chain(_SPOOFED, None, (*errors, *leases, f.drop("spoofed")))


def unrelated_errors(topology: Topology) -> Iterator[Rule]:
    """ICMP errors from such sources, where conntrack has told whether they are about a flow of this gateway, and DHCP
    answers of no flow.

    Those that are come from routers beyond an uplink, whose numbers are anything: carriers' are often in 10.0.0.0/8.
    """
    for family in topology.families:
        foreign = tuple(_foreign_sources(topology, family))
        yield from ((f.is_icmp_error(family), *matches, *f.drop("spoofed")) for matches in foreign)
        yield from _leases(family, foreign)


def opened_from_outside(topology: Topology) -> Iterator[Rule]:
    """Flows of what may answer with a source of the inside: hosts in a part that is beyond an uplink, DHCP servers.

    For a chain that the first packets of flows meet alone.
    """
    for family in topology.families:
        if topology.parts_elsewhere(family):
            inside = _inside_from_uplinks(topology, family)
            yield from ((*matches, *f.drop("spoofed")) for matches in inside)
        yield from _leases(family, _foreign_sources(topology, family))


def _leases(family: Family, foreign: Iterable[tuple[Match, ...]]) -> Iterator[Rule]:
    if family == 4:
        yield from ((*_LEASE, *matches, *f.drop("spoofed")) for matches in foreign)


def _uplink_marks(topology: Topology, family: Family) -> Iterator[Rule]:
    """Past a few dozen sources a map finds the uplink; the mark then chooses one FIB rule per uplink."""
    taken = TENANT_MASK if topology.tenants else 0
    for named in uplink_maps(topology, family):
        untaken = (Match(Masked(f.META_MARK, taken), "==", 0),) if taken else ()
        yield (*untaken, Assign(f.META_MARK, Lookup(f.saddr(family), SetRef(named.name))))
        taken |= UPLINK_MASK  # by the map before


def uplink_maps(topology: Topology, family: Family) -> tuple[NamedSet, ...]:
    """Translated source -> mark; none where FIB rules do it."""
    if not topology.by_source_map:
        return ()
    owned = ((n, (topology.stage_mask | uplink_bits(u.slot),)) for u in topology.uplinks for n in u.sources(family))
    return prefix_sets(f"uplink_of_{family}", family, owned, ("mark",))


def _own_sources(topology: Topology) -> Iterator[Rule]:
    """accept_local would let a host use one of the gateway's own addresses, and IPv6 never checks: these rules do.

    Where networks overlap the check is per interface: host-wide it would drop legitimate far hosts.
    Link-local addresses are excluded: a neighbour may well share fe80::1 with one of the gateway's interfaces.
    """
    if topology.guards.anti_spoof == "off":
        return
    is_local = Match(Field(f"fib {'saddr . iif' if topology.tenants else 'saddr'} type"), "==", "local")
    if 4 in topology.families:
        yield (f.of_family(4), is_local, *_from_outside(topology), *f.drop("spoofed"))
    if 6 in topology.families:
        yield (Match(f.saddr(6), "!=", "fe80::/10"), is_local, *_from_outside(topology), *f.drop("spoofed"))


def _from_outside(topology: Topology) -> tuple[Match, ...]:
    """Not of packets that come in by `lo` or by the device: asked last, because few sources are local."""
    return Match(f.IIF, "!=", 1), Match(f.IIFGROUP, "!=", topology.device_group)


def _foreign_sources(topology: Topology, only: Family | None = None) -> Iterator[tuple[Match, ...]]:
    """Sources that do not come in by this interface, such as inside ones from an uplink, where the kernel's own
    check (rp_filter) is switched off.
    """
    if topology.guards.anti_spoof == "off":
        return
    families = [family for family in topology.families if only in (None, family)]
    for family in families:
        parts = topology.parts_elsewhere(family)
        others = (f.in_networks(f.saddr(family), fewest(parts, family), op="!="),) if parts else ()
        for matches in _inside_from_uplinks(topology, family):
            yield (*others, *matches)
        for part in parts:
            ways = {name for other, names in parts.items() if other.overlaps(part) for name in names}
            if elsewhere := tuple(name for name in _outside(topology) if name not in ways):
                yield (f.in_networks(f.saddr(family), (part,)), f.one_of(f.IIFNAME, elsewhere))
    for family in families:
        yield from _not_routed_here(topology, family)
    for family in families:
        yield from _not_from_there(topology, family)
    if topology.guards.anti_spoof == "strict":
        checked = tuple(p.ifname for p in topology.interfaces if not topology.may_share_addresses(p.ifname))
        ports = f.one_of(f.IIFNAME, checked)
        if 4 in families:
            yield (Match(f.saddr(4), "!=", "0.0.0.0"), ports, _NO_WAY_BACK)
        if 6 in families:
            yield (Match(f.saddr(6), "!=", frozenset({"fe80::/10", "::"})), ports, _NO_WAY_BACK)


def _inside_from_uplinks(topology: Topology, family: Family) -> Iterator[tuple[Match, ...]]:
    """The guard's check of inside sources."""
    networks, outside = topology.inside_networks(family), _outside(topology)
    if outside and networks and topology.guards.anti_spoof != "off":
        inside = f.in_set(f.saddr(family), f"inside_{family}", networks)
        outer = (*_not_expected(topology, outside), f.one_of(f.IIFNAME, outside))
        yield (inside, *_not_beside(topology, family, networks), *outer)


def _outside(topology: Topology) -> tuple[str, ...]:
    return tuple(name for name in topology.uplink_ifnames if not topology.may_share_addresses(name))


def _not_routed_here(topology: Topology, family: Family) -> Iterator[tuple[Match, ...]]:
    """Addresses that are routed to the gateway are its own to give: it sends from them what it has translated.

    Another host's packet with such a source matches no rule of stage 1, and would leave in stage 2 as if translated.
    A host inside has one where the kernel routes it back to the interface: by a host route, or on a bridge that the
    spec does not name. Uplinks some of whose routed addresses other hosts may have are left out: their sets cannot
    tell these apart.
    """
    on_wires = [network for uplink in topology.uplinks for network in uplink.on_link]
    others = (*topology.inside_networks(family), *topology.far(family), *on_wires)
    for ifname in topology.uplink_ifnames:
        uplinks = (uplink for uplink in topology.uplinks if uplink.interface.ifname == ifname)
        routed = fewest((network for uplink in uplinks for network in uplink.routed), family)
        if routed and apart(routed, others) == routed:
            for match in guard.of_uplink(topology, ifname, family, f.saddr(family)):
                yield (match, f.one_of(f.IIFNAME, topology.uplink_ifnames))
                yield (match, *_from_outside(topology), _NO_WAY_BACK)


def _not_from_there(topology: Topology, family: Family) -> Iterator[tuple[Match, ...]]:
    """Sources behind one uplink do not come in by another: their answers would leave untranslated."""
    for uplink in topology.uplinks:
        far = tuple(n for n in uplink.far if n.version == family)
        ways = {u.interface.ifname for u in topology.uplinks if any(n.overlaps(m) for n in u.far for m in far)}
        others = tuple(name for name in topology.uplink_ifnames if name not in ways)
        if far and others:
            outer = (*_not_beside(topology, family, far), f.one_of(f.IIFNAME, others))
            yield (f.in_networks(f.saddr(family), far), *outer)


def _not_beside(topology: Topology, family: Family, networks: tuple[Network, ...]) -> Iterator[Match]:
    """A wide network may contain that of an uplink's wire, whose router is none of its hosts."""
    if wires := topology.wires_within(networks):
        yield f.in_networks(f.saddr(family), fewest(wires, family), op="!=")


def _not_expected(topology: Topology, outside: tuple[str, ...]) -> Iterator[Match]:
    """Inside sources come from inside: if that is a single interface, its name saves the lookup of the others."""
    names = {inside.interface.ifname for inside in topology.inside_interfaces}
    if len(names) == 1 and not names & set(outside) and len(outside) > 1:
        yield Match(f.IIFNAME, "!=", names.pop())
