"""Which entry of the spec a rule or an element of the nft table belongs to, and what it says of that entry. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from nvi_operator.nft.ast import Element, Rule
from nvi_operator.plan.names import Names
from nvi_operator.plan.owners import GATEWAY, Owners, SpecEntry, of_label
from nvi_operator.plan.pieces import (
    FORWARDS,
    STATICS,
    TRANSLATIONS,
    Fact,
    counter_of,
    forward_fact,
    rule_fact,
    segment_fact,
    set_label,
    static_fact,
    text,
    translation_of,
)


def entry_of_element(
    where: str, element: Element, owners: Owners, places: Mapping[str, str], names: Names, added: bool
) -> tuple[SpecEntry, Fact | None]:
    """Who has an element of the set or map `where`. `places`: uplinks by address; `added`: which side of `names`."""
    (first, *_), _ = element
    if where.startswith(FORWARDS):
        return SpecEntry("forwards", names.forward(element[0], added)), forward_fact(element, places)
    if where.startswith(STATICS):
        fact = static_fact(where, element)
        return names.static((fact.what, fact.value), added), fact
    if where.startswith("tenant_of_"):
        name = names.forward(element[0], added)
        return SpecEntry("forwards", name) if name else GATEWAY, None
    if where == "ifindex_mark":
        return owners.ifindexes.get(int(str(first)), GATEWAY), None
    if entry := owners.labels.get(set_label(where)):
        return entry, None if where.endswith("_hosts") else Fact(("address", first), "address", text(first))
    return (owners.of_network(str(first)) if isinstance(first, str) else None) or GATEWAY, None


def entry_of_rule(
    where: str,
    rule: Rule,
    owners: Owners,
    places: Mapping[str, str],
    names: Names,
    servers: Mapping[str, str],
    added: bool,
) -> tuple[SpecEntry, Fact | None]:
    """Who has a rule of the chain `where`. `servers`: counters of forwards by the chains that choose their server."""
    counter = counter_of(rule) or servers.get(where)
    if counter:
        entry = owners.labels.get(counter) or of_label(counter)
        return entry, rule_fact(rule, places) if where in TRANSLATIONS else None
    if where not in TRANSLATIONS:
        return owners.labels.get(where) or of_label(where), segment_fact(rule)
    translation = translation_of(rule)
    if translation is None:
        return GATEWAY, None
    if translation.asked:  # both ends are named
        name = names.twice((translation.source, translation.asked), added)
        if name or (translation.is_twice and names.static(translation.pair, added).name is None):
            return SpecEntry("twiceNat", name), translation.twice_fact
    return names.static(translation.pair, added), translation.static_fact
