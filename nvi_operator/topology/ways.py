"""Which uplink is taken where a spec names several: the order of `first`, weights, and what works now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import FAMILIES, Family
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.interfaces import Uplink

Tier = Mapping[str, int | None]  # uplinks that share flows, with weights; None: the uplink's own


@dataclass(frozen=True)
class DefaultWay:
    """The uplinks of one family, by name, of packets that no translated source leads.

    `untranslated`: of inside hosts whose source stays. `own`: of the gateway itself, where `main` has no default
    route; with `before_main` also where it has one, because that leads by an uplink that is not the one to take.
    """

    family: Family
    untranslated: str | None
    own: str | None
    before_main: bool = False


def shares(tiers: Iterable[Tier], uplinks: Mapping[str, Uplink]) -> Iterator[list[tuple[Uplink, int]]]:
    """Groups of uplinks with weights, the preferred group first. Those of weight 0 are a group behind the others."""
    for tier in tiers:
        weighted = [(uplinks[name], uplinks[name].weight if w is None else w) for name, w in tier.items()]
        yield [(uplink, weight) for uplink, weight in weighted if weight]
        yield [(uplink, 1) for uplink, weight in weighted if not weight]


def working(groups: Iterable[Sequence[tuple[Uplink, int]]], family: Family) -> list[tuple[Uplink, int]]:
    """The first group of which something works, without what does not.

    If nothing does, the first of which a link is up: probes may be wrong, and nothing better is there. Failing that,
    all of the first group that may come to have an address.
    """
    known = [[(u, w) for u, w in group if family in u.families or u.dynamic] for group in groups]
    usable = ([(u, w) for u, w in group if u.is_usable(family)] for group in known)
    linked = ([(u, w) for u, w in group if u.is_linked(family)] for group in known)
    with_address = ([(u, w) for u, w in group if u.primary(family)] for group in known)
    return next((group for kind in (usable, linked, with_address, known) for group in kind if group), [])


def first_working(names: Iterable[str], uplinks: Mapping[str, Uplink], family: Family) -> Uplink | None:
    """The one that is taken of several by preference; None if none of them has the family."""
    groups = ([(uplinks[name], 1)] for name in names if family in uplinks[name].families)
    return next((uplink for uplink, _ in working(groups, family)), None)


# --------------------------------------------------------------------------- the default uplink


def default_ways(spec: GatewaySpec, uplinks: Sequence[Uplink], facts: Facts) -> Iterator[DefaultWay]:
    """One for each family that uplinks have."""
    by_name = {uplink.name: uplink for uplink in uplinks}
    for family in FAMILIES:
        there = [uplink for uplink in uplinks if family in uplink.families]
        if not there:
            continue
        names = [u.name for u in there if u.default]
        if spec.default_uplink:
            names = [name for name in spec.default_uplink.first if name in by_name]
        default = first_working(names, by_name, family)
        way = first_working(_of_own_packets(spec, names, by_name), by_name, family) or default
        own = way or max(there, key=lambda uplink: uplink.weight)
        misled = way is not None and _is_misled(spec, way, uplinks, facts.default_interfaces.get(family), family)
        yield DefaultWay(family, default.name if default else None, own.name, misled)


def _of_own_packets(spec: GatewaySpec, names: Sequence[str], uplinks: Mapping[str, Uplink]) -> Sequence[str]:
    """By preference: without an order of its own, that of the first rule that gives everything the default."""
    if spec.default_uplink or not names:
        return names
    for rule in spec.source_nat:
        if not rule.to and names[0] in rule.as_.names:
            others = [u.name for group in shares(rule.as_.tiers, uplinks) for u, _ in group]
            return list(dict.fromkeys([*names, *others]))
    return names


def _is_misled(spec: GatewaySpec, way: Uplink, uplinks: Sequence[Uplink], ifname: str | None, family: Family) -> bool:
    """Does the default route of `main` lead by an uplink that the gateway's own packets should not take?"""
    wrong = [uplink for uplink in uplinks if uplink.interface.ifname == ifname]
    if not wrong or way in wrong or not way.is_usable(family):
        return False
    ordered = spec.default_uplink is not None and len(spec.default_uplink.first) > 1
    return ordered or not any(uplink.is_usable(family) for uplink in wrong)
