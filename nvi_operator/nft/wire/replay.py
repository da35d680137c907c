"""A table after what was reported of its elements. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nvi_operator.nft.ast import Table
from nvi_operator.nft.wire.monitor import Reported
from nvi_operator.nft.wire.packed_elements import PackedElements


def followed(table: Table, reported: Sequence[Reported]) -> Table | None:
    """None if a report does not fit to what the table held, or is about elements that are not kept in this form."""
    sets = {named.name: named for named in table.sets}
    moved: dict[str, tuple[set[bytes], set[bytes]]] = {}  # what went, and what came
    for report in reported:
        named = sets.get(report.set)
        if named is None or not isinstance(named.elements, PackedElements):
            return None
        gone, come = moved.setdefault(report.set, (set(), set()))
        held = named.elements.raw
        for raw in named.elements.layout.split(report.elements):
            if report.verb == "add":
                fits = _move(raw, back_from=gone, to=come, possible=raw not in held)
            else:
                fits = _move(raw, back_from=come, to=gone, possible=raw in held)
            if not fits:
                return None
    for name, (gone, come) in moved.items():
        elements = sets[name].elements
        assert isinstance(elements, PackedElements)
        sets[name] = replace(sets[name], elements=elements.exchanged(frozenset(gone), frozenset(come)))
    return replace(table, sets=frozenset(sets.values()))


def _move(raw: bytes, *, back_from: set[bytes], to: set[bytes], possible: bool) -> bool:
    """An element goes one way. Back, if it had gone the other way before. False if it cannot."""
    if raw in back_from:
        back_from.remove(raw)
        return True
    if raw in to or not possible:
        return False
    to.add(raw)
    return True
