"""The difference of two nft tables, line by line, as a person reads it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from nvi_operator.nft.ast import (
    Chain,
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
from nvi_operator.nft.text import chain_definition, element_text, rule_text, set_definition
from nvi_operator.nft.wire.packed_elements import first

MANY = 50  # lines of one thing, each way: of more the first few are SHOWN, the rest is a number
SHOWN = 10
_COMPARED = 2000  # rules of a chain that are compared in their order: that takes the product of both numbers

Line = tuple[str, str]  # a sign (+, -, ~ or blank) and text


def table_lines(before: Table | None, after: Table | None, *, full: bool = False) -> Iterator[Line]:
    """Signed lines; unchanged sets and chains are left out, and of many entries all but a few, unless `full`."""
    old, new = before or Table(""), after or Table("")
    for sign, counters in (("-", old.counters - new.counters), ("+", new.counters - old.counters)):
        yield from _few(sign, [f"counter {counter}" for counter in sorted(counters)], full)
    old_sets, new_sets = {s.name: s for s in old.sets}, {s.name: s for s in new.sets}
    for name in sorted(old_sets.keys() | new_sets.keys()):
        yield from _set_lines(name, old_sets.get(name), new_sets.get(name), full)
    old_chains, new_chains = {c.name: c for c in old.chains}, {c.name: c for c in new.chains}
    for name in sorted(old_chains.keys() | new_chains.keys()):
        yield from _chain_lines(name, old_chains.get(name), new_chains.get(name), full)


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


def _set_lines(name: str, before: NamedSet | None, after: NamedSet | None, full: bool) -> Iterator[Line]:
    if before == after:
        return
    present = after or before
    assert present is not None
    yield _sign(before, after), f"{'map' if present.values else 'set'} {name}"
    if before and after and not before.becomes(after):
        yield "-", f"    {set_definition(before)}"
        yield "+", f"    {set_definition(after)}"
    old = before.elements if before else frozenset()
    new = after.elements if after else frozenset()
    for sign, elements in (("-", old - new), ("+", new - old)):
        shown = elements if full or len(elements) <= MANY else first(elements, SHOWN)
        lines = sorted(f"    {element_text(element, present.key, present.values)}" for element in shown)
        yield from ((sign, line) for line in lines)
        yield from _rest(sign, "    ", len(elements) - len(lines))


def _chain_lines(name: str, before: Chain | None, after: Chain | None, full: bool) -> Iterator[Line]:
    if before == after:
        return
    yield _sign(before, after), f"chain {name}"
    old_hook, new_hook = (chain_definition(c) if c else "" for c in (before, after))
    if old_hook != new_hook:
        yield from ((sign, f"    {hook}") for sign, hook in (("-", old_hook), ("+", new_hook)) if hook)
    old, new = (chain.rules if chain else () for chain in (before, after))

    def shown(sign: str, rules: Iterable[Rule]) -> Iterator[Line]:
        return _few(sign, [f"    {rule_text(rule if full else brief(rule))}" for rule in rules], full)

    if max(len(old), len(new)) > _COMPARED and not full:
        for sign, mine, others in (("-", old, set(new)), ("+", new, set(old))):
            yield from shown(sign, [rule for rule in mine if rule not in others])
        return
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
    of_count: dict[int, list[str]] = defaultdict(list)  # as text: what has as many slots must have an order, too
    for member, count in slots.items():
        of_count[count].append(element_text(((f"{count} slots",), member), (), ()))
    counted: frozenset[Element] = frozenset(((", ".join(sorted(same)),), None) for same in of_count.values())
    return replace(statement, address=replace(lookup, map=counted))
