"""The difference of two nft tables, line by line, as a person reads it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from nvi_operator.nft.ast import (
    Data,
    Element,
    Hash,
    Interval,
    Lookup,
    NamedSet,
    Nat,
    Rule,
    Statement,
    Table,
)
from nvi_operator.nft.objects import CHAINS, SETS, ObjectKind, in_file_order
from nvi_operator.nft.text import element_text, rule_text, set_definition
from nvi_operator.nft.wire.packed_elements import first
from nvi_operator.state.lines import Line

MANY = 50  # lines of one thing with one sign; of more the first SHOWN are printed, and the number of the others
SHOWN = 10
_COMPARED = 2000  # rules of a chain that are compared in their order: that takes the product of both numbers


def table_lines(before: Table | None, after: Table | None, full: bool = False) -> Iterator[Line]:
    """Signed lines; unchanged sets and chains are left out, and of many entries all but a few, unless `full`.

    TypeError if a table has a field that is not described in nft/objects.py.
    """
    present = after or before
    if present is None:
        return
    for sign, mine, other in (("-", before, after), ("+", after, before)):
        yield from _few(sign, _only_read(mine, other), full)
    for kind in in_file_order(present):
        old, new = (kind.of(table) if table else {} for table in (before, after))
        if kind.contents is None:
            for sign, items, others in (("-", old, new), ("+", new, old)):
                changed = [_head(kind, name, item) for name, item in items.items() if others.get(name) != item]
                yield from _few(sign, changed, full)
            continue
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                yield from _object_lines(kind, name, old.get(name), new.get(name), full)


def _only_read(table: Table | None, other: Table | None) -> list[str]:
    """Flags and foreign objects that one table has and the other has not."""
    if table is None:
        return []
    flags, foreign = (other.flags, other.foreign) if other else (frozenset(), frozenset())
    return [*(f"flag {flag}" for flag in sorted(table.flags - flags)), *map(str, sorted(table.foreign - foreign))]


def _head(kind: ObjectKind[Any], name: str, item: object) -> str:
    definition = kind.definition(item)
    return f"{kind.noun(item)} {name}" + (f" {{ {definition} }}" if definition else "")


def _few(sign: str, lines: Sequence[str], full: bool) -> Iterator[Line]:
    if full or len(lines) <= MANY:
        yield from ((sign, line) for line in lines)
        return
    yield from ((sign, line) for line in lines[:SHOWN])
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    yield from _rest(sign, indent, len(lines) - SHOWN)


def _rest(sign: str, indent: str, number: int) -> Iterator[Line]:
    if number:
        yield sign, f"{indent}... and {number:,} more (nvictl plan --full or -o json shows all)"


def _sign(before: object, after: object) -> str:
    return "+" if before is None else "-" if after is None else "~"


def _object_lines(kind: ObjectKind[Any], name: str, before: Any, after: Any, full: bool) -> Iterator[Line]:
    """An object whose definition or contents differ. None: there is no such object."""
    yield _sign(before, after), f"{kind.noun(after or before)} {name}"
    if kind is SETS:
        yield from _set_lines(before, after, full)
    elif kind is CHAINS:
        yield from _definition_lines(kind, before, after)
        yield from _rule_lines(before.rules if before else (), after.rules if after else (), full)
    elif kind.contents:
        yield from _definition_lines(kind, before, after)
        lines = kind.contents.lines
        old, new = (list(lines(item)) if item else [] for item in (before, after))
        for sign, mine, other in (("-", old, new), ("+", new, old)):
            yield from _few(sign, [f"    {line}" for line in mine if line not in other], full)


def _definition_lines(kind: ObjectKind[Any], before: Any, after: Any) -> Iterator[Line]:
    old, new = (kind.definition(item) if item else "" for item in (before, after))
    if old != new:
        yield from ((sign, f"    {definition}") for sign, definition in (("-", old), ("+", new)) if definition)


def _set_lines(before: NamedSet | None, after: NamedSet | None, full: bool) -> Iterator[Line]:
    present = after or before
    assert present is not None
    if before and after and not before.becomes(after):
        yield from (("-", f"    {set_definition(before)}"), ("+", f"    {set_definition(after)}"))
    old = before.elements if before else frozenset()
    new = after.elements if after else frozenset()
    for sign, elements in (("-", old - new), ("+", new - old)):
        shown = elements if full or len(elements) <= MANY else first(elements, SHOWN)
        lines = sorted(f"    {element_text(element, present.key, present.values)}" for element in shown)
        yield from ((sign, line) for line in lines)
        yield from _rest(sign, "    ", len(elements) - len(lines))


def _rule_lines(old: Sequence[Rule], new: Sequence[Rule], full: bool) -> Iterator[Line]:
    def shown(sign: str, rules: Iterable[Rule]) -> Iterator[Line]:
        return _few(sign, [f"    {rule_text(rule if full else brief(rule))}" for rule in rules], full)

    if max(len(old), len(new)) > _COMPARED and not full:
        for sign, mine, others in (("-", old, set(new)), ("+", new, set(old))):
            yield from shown(sign, [rule for rule in mine if rule not in others])
        return
    from difflib import SequenceMatcher

    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield from shown("-", old[a:b])
            yield from shown("+", new[c:d])


def brief(rule: Rule) -> Rule:
    """The rule with each member of a choice by hash once, and the number of its slots in their place."""
    return tuple(_brief(statement) for statement in rule)


def _brief(statement: Statement) -> Statement:
    if not isinstance(statement, Nat) or not isinstance(lookup := statement.address, Lookup):
        return statement
    if not isinstance(lookup.key, Hash) or not isinstance(lookup.map, frozenset) or len(lookup.map) <= SHOWN:
        return statement
    slots: Counter[Data] = Counter()
    for (slot, *_), member in lookup.map:
        slots[member] += int(slot.last) - int(slot.first) + 1 if isinstance(slot, Interval) else 1
    of_count: dict[int, list[str]] = defaultdict(list)  # as text: members with equally many slots need an order
    for member, count in slots.items():
        of_count[count].append(element_text(((f"{count} slots",), member), (), ()))
    counted: frozenset[Element] = frozenset(((", ".join(sorted(same)),), None) for same in of_count.values())
    return replace(statement, address=replace(lookup, map=counted))
