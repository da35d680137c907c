"""A table after the changes of elements that were reported. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nvi_operator.nft.ast import Table
from nvi_operator.nft.wire.packed_elements import PackedElements

if TYPE_CHECKING:
    from nvi_operator.nft.wire.monitor import ElementReport


def replayed(table: Table, reported: Sequence[ElementReport]) -> Table | None:
    """None if a report contradicts the contents of the table, or is about elements that are not packed."""
    sets = {named.name: named for named in table.sets}
    moved: dict[str, tuple[set[bytes], set[bytes]]] = {}  # removed and added
    for report in reported:
        named = sets.get(report.set)
        if named is None or not isinstance(named.elements, PackedElements):
            return None
        removed, added = moved.setdefault(report.set, (set(), set()))
        present = named.elements.raw
        for raw in named.elements.codec.split(report.elements):
            if report.verb == "add":
                fits = _move(raw, back_from=removed, to=added, possible=raw not in present)
            else:
                fits = _move(raw, back_from=added, to=removed, possible=raw in present)
            if not fits:
                return None
    for name, (removed, added) in moved.items():
        elements = sets[name].elements
        assert isinstance(elements, PackedElements)
        sets[name] = replace(sets[name], elements=elements.exchanged(frozenset(removed), frozenset(added)))
    return replace(table, sets=frozenset(sets.values()))


def _move(raw: bytes, *, back_from: set[bytes], to: set[bytes], possible: bool) -> bool:
    """An element moves one way, or back if it moved the other way before. False if it cannot."""
    if raw in back_from:
        back_from.remove(raw)
        return True
    if raw in to or not possible:
        return False
    to.add(raw)
    return True
