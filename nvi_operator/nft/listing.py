"""libnftables' JSON listing of a table to AST; `expressions.py` reads what is within.

What the ruleset never has becomes `Opaque` or a `ForeignObject`; ListingError is for what nft does not print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nvi_operator.nft.ast import ForeignObject, Rule, Table
from nvi_operator.nft.expressions import Ifindex, parse_rule
from nvi_operator.nft.objects import kinds_of
from nvi_operator.nft.shapes import Json, ListingError, member, members, single, text


def parse_table(objects: Sequence[Mapping[str, Json]], name: str, ifindex: Ifindex) -> Table | None:
    """The table `inet name` of a listing; None if it is not there.

    `ifindex` turns an interface's name into its number: nft lists elements of type iface_index by name. Flags of the
    table are not read here: nft 1.0.6 prints arbitrary bytes for them.
    """
    mine = [entry for entry in map(single, objects) if _is_of(name, *entry)]
    if not mine:
        return None
    kinds = {noun: kind for kind in kinds_of(Table(name)) for noun in kind.nouns}
    rules: dict[str, list[Rule]] = {text(member(body, "name")): [] for noun, body in mine if noun == "chain"}
    for noun, body in mine:
        if noun == "rule":
            chain = text(member(body, "chain"))
            if chain not in rules:
                raise ListingError(f"a rule of a chain {chain} that is not listed")
            rules[chain].append(parse_rule(member(body, "expr"), ifindex))
    found: dict[str, set[object]] = {kind.field: set() for kind in kinds.values()}
    foreign: set[ForeignObject] = set()
    for noun, body in mine:
        if noun in ("table", "rule"):
            continue
        kind, called = kinds.get(noun), text(body.get("name", ""))
        item = kind.parse(body, rules.get(called, ()), ifindex) if kind else ForeignObject(noun, called)
        if isinstance(item, ForeignObject):
            foreign.add(item)
        elif kind:
            found[kind.field].add(item)
    parts = {field: frozenset(items) for field, items in found.items()}
    return Table(name, foreign=frozenset(foreign), **parts)  # type: ignore[arg-type]


def _is_of(name: str, noun: str, body: Json) -> bool:
    if noun == "metainfo" or members(body).get("family") != "inet":
        return False
    return bool(body.get("name" if noun == "table" else "table") == name)
