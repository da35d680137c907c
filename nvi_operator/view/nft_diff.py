"""The difference of two nft tables, line by line, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from nvi_operator.nft.text import chain_definition, element_text, rule_text, set_definition
from nvi_operator.nft.wire.elements import first
from nvi_operator.state.nft import Chain, NamedSet, Table

SHOWN = 20  # elements of one set, each way; the rest is a number

Line = tuple[str, str]  # a sign (+, -, ~ or blank) and text


def table_lines(before: Table | None, after: Table | None) -> Iterator[Line]:
    """Signed lines; unchanged sets and chains are left out."""
    old, new = before or Table(""), after or Table("")
    for counter in sorted(old.counters ^ new.counters):
        yield ("+" if counter in new.counters else "-"), f"counter {counter}"
    old_sets, new_sets = {s.name: s for s in old.sets}, {s.name: s for s in new.sets}
    for name in sorted(old_sets.keys() | new_sets.keys()):
        yield from _set_lines(name, old_sets.get(name), new_sets.get(name))
    old_chains, new_chains = {c.name: c for c in old.chains}, {c.name: c for c in new.chains}
    for name in sorted(old_chains.keys() | new_chains.keys()):
        yield from _chain_lines(name, old_chains.get(name), new_chains.get(name))


def _sign(before: object, after: object) -> str:
    return "+" if before is None else "-" if after is None else "~"


def _set_lines(name: str, before: NamedSet | None, after: NamedSet | None) -> Iterator[Line]:
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
        few = first(elements, SHOWN)
        lines = sorted(element_text(element, present.key, present.values) for element in few)
        yield from ((sign, f"    {line}") for line in lines)
        if len(elements) > SHOWN:
            yield sign, f"    ... and {len(elements) - SHOWN} more"


def _chain_lines(name: str, before: Chain | None, after: Chain | None) -> Iterator[Line]:
    if before == after:
        return
    yield _sign(before, after), f"chain {name}"
    old_hook, new_hook = (chain_definition(c) if c else "" for c in (before, after))
    if old_hook != new_hook:
        yield from ((sign, f"    {hook}") for sign, hook in (("-", old_hook), ("+", new_hook)) if hook)
    old = [rule_text(rule) for rule in before.rules] if before else []
    new = [rule_text(rule) for rule in after.rules] if after else []
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield from (("-", f"    {line}") for line in old[a:b])
            yield from (("+", f"    {line}") for line in new[c:d])
