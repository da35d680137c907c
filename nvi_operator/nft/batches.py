"""From one table to another in batches, each of which the kernel takes as a whole or not at all. Pure.

A batch of elements alone is sent in the kernel's own form. Any other is text, with its elements however many, so that
rules and maps never disagree. Sets that no chain asks yet are made in earlier batches, with the chains that their
verdicts name (empty, and never reached by a packet); the batch with the rules that ask them follows. These are:

- maps of many elements, which are filled in the kernel's form
- sets of ranges or prefixes: the kernel makes rules and elements valid at once, but the structure in which it looks
  ranges up only some microseconds later (nft_set_commit_update() in nf_tables_commit(), Linux 6.18). Until then a new
  set matches nothing, and a connection that begins meanwhile would stay untranslated for as long as it lasts

Deleting needs no such care: rules and maps are deleted in one batch of a few lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import replace

from nvi_operator.dataclass import dataclass
from nvi_operator.nft.ast import Chain, NamedSet, Table
from nvi_operator.nft.objects import is_kept, without_objects
from nvi_operator.nft.references import set_names
from nvi_operator.nft.transaction import transaction
from nvi_operator.nft.wire.messages import ElementChange
from nvi_operator.nft.wire.packed_elements import PackedElements

MANY = 1000  # elements; as text they cost some 15 ms


@dataclass(frozen=True)
class Batch:
    """One transaction, from a table to the next: either nft text or elements."""

    before: Table | None
    after: Table | None
    text: str = ""
    elements: tuple[ElementChange, ...] = ()


def batches(before: Table | None, after: Table | None) -> list[Batch]:
    """The batches in order; none when nothing differs."""
    if before == after:
        return []
    if before is not None and after is not None and (changes := _elements_alone(before, after)):
        return [Batch(before, _as_made(before, after), elements=changes)]
    filled = _filled(before, after) if after is not None else before
    if after is not None and filled is not None and filled is not before:
        unfilled = _unfilled(filled, before)
        made = [] if unfilled == before else [Batch(before, unfilled, transaction(before, unfilled))]
        return [*made, *batches(unfilled, filled), *batches(filled, after)]
    return [Batch(before, after, transaction(before, after))]


def batches_to_check(before: Table | None, after: Table | None) -> list[Batch]:
    """The batches that the kernel can check now: without the elements of maps that do not exist yet."""
    planned = batches(before, after)
    if len(planned) < 2 or after is None:
        return planned
    unfilled = _unfilled(after, before)
    return [Batch(before, unfilled, transaction(before, unfilled))]


def _elements_alone(before: Table, after: Table) -> tuple[ElementChange, ...]:
    """The changes in the kernel's form, if nothing but elements in that form differs; otherwise none."""
    if replace(before, sets=frozenset()) != replace(after, sets=frozenset()):
        return ()
    old, new = _by_name(before), _by_name(after)
    changed = [(old[n], new[n]) for n in sorted(new) if old.get(n) != new[n] and n in old]
    if old.keys() != new.keys() or not all(_is_packed(b) and a.becomes(b) for a, b in changed):
        return ()
    return tuple(change for a, b in changed for change in _changes(a, b))


def _changes(old: NamedSet, new: NamedSet) -> Iterator[ElementChange]:
    assert isinstance(new.elements, PackedElements)
    removed, added = new.elements.changes(old.elements)
    if removed:
        yield ElementChange("delete", new.name, tuple(removed))
    if added:
        yield ElementChange("add", new.name, tuple(added))


def _filled(before: Table | None, after: Table) -> Table | None:
    """`before` with the sets of `after` that have to exist before its rules, if no chain asks them; or `before`."""
    start = before or without_objects(after)
    old = _by_name(start)
    ahead = {named.name: named for named in after.sets if _is_first(old.get(named.name), named)}
    if not ahead or not is_kept(start, after):  # then the whole table is replaced at once
        return before
    asked = _asked(start)
    ahead = {
        name: named
        for name, named in ahead.items()
        if name not in asked and (name not in old or old[name].becomes(named))
    }
    if not ahead:
        return before
    named = frozenset({**old, **ahead}.values())
    return _as_made(start, replace(start, sets=named, chains=start.chains | _targets(start, after, ahead.values())))


def _targets(before: Table, after: Table, maps: Iterable[NamedSet]) -> frozenset[Chain]:
    """Chains that verdicts in these maps may name, empty: they have to exist first."""
    if all(named.values != ("verdict",) for named in maps):
        return frozenset()
    there = {chain.name for chain in before.chains}
    return frozenset(replace(c, rules=()) for c in after.chains if c.hook is None and c.name not in there)


def _as_made(before: Table, after: Table) -> Table:
    """The table, with the room that its sets were made with, which may differ from what is desired now."""
    old = _by_name(before)
    sets = (replace(named, size=old[named.name].size) if named.name in old else named for named in after.sets)
    return replace(after, sets=frozenset(sets))


def _is_first(old: NamedSet | None, new: NamedSet) -> bool:
    return _is_many(old, new) or (old is None and new.interval and bool(new.elements))


def _is_many(old: NamedSet | None, new: NamedSet) -> bool:
    """Are there many elements to add, in the kernel's form?"""
    if not _is_packed(new) or len(new.elements) <= MANY:
        return False
    return old is None or (old.elements != new.elements and len(new.elements - old.elements) > MANY)


def _unfilled(table: Table, before: Table | None) -> Table:
    """The table with the elements that its large maps hold before."""
    old = _by_name(before) if before else {}
    sets = (_as_before(named, old.get(named.name)) for named in table.sets)
    return replace(table, sets=frozenset(sets))


def _as_before(named: NamedSet, old: NamedSet | None) -> NamedSet:
    if not _is_many(old, named):
        return named
    assert isinstance(named.elements, PackedElements)
    return replace(named, elements=old.elements if old else named.elements.none())


def _is_packed(named: NamedSet) -> bool:
    return isinstance(named.elements, PackedElements)


def _by_name(table: Table) -> dict[str, NamedSet]:
    return {named.name: named for named in table.sets}


def _asked(table: Table) -> Set[str]:
    """The sets that rules name; all of them, if there is a rule that cannot be read."""
    found = set(set_names([rule for chain in table.chains for rule in chain.rules]))
    return found if None not in found else _by_name(table).keys()  # type: ignore[return-value]
