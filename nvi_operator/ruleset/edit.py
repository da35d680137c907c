"""The table after an edit of a few forwards: elements of maps, and all else as it was.

Each forward has elements of its own, because each public port leads to one place (`spec/check_forwards.py`).
"""

from __future__ import annotations

from dataclasses import replace

from nvi_operator.nft.wire.elements import PackedElements, packed
from nvi_operator.ruleset.dstnat import forward_maps
from nvi_operator.state.nft import NamedSet, Table
from nvi_operator.topology.model import Topology


def edited(table: Table, less: Topology, more: Topology) -> Table | None:
    """`less` and `more` hold the forwards that went and came, and no others. None where more than elements differ."""
    if less.tenants:
        return None  # there are elements that belong to several forwards
    gone, come = _maps(less), _maps(more)
    changed: list[NamedSet] = []
    for named in table.sets:
        if named.name in gone or named.name in come:
            after = _exchanged(named, gone.pop(named.name, None), come.pop(named.name, None))
            if after is None:
                return None
            changed.append(after)
    if gone or come:
        return None  # a map that is not there yet
    names = {named.name for named in changed}
    return replace(table, sets=frozenset([*changed, *(named for named in table.sets if named.name not in names)]))


def _maps(topology: Topology) -> dict[str, NamedSet]:
    return {named.name: packed(named) for family in topology.families for named in forward_maps(topology, family)}


def _exchanged(named: NamedSet, less: NamedSet | None, more: NamedSet | None) -> NamedSet | None:
    elements = named.elements
    gone, come = (_raw(elements, part) for part in (less, more))
    if gone is None or come is None or not isinstance(elements, PackedElements) or not gone <= elements.raw:
        return None
    after = replace(named, elements=PackedElements(elements.layout, elements.raw - gone | come))
    return after if after.elements and named.becomes(after) else None


def _raw(like: object, part: NamedSet | None) -> frozenset[bytes] | None:
    """Its elements in the form of the others; None if that is none."""
    if part is None:
        return frozenset()
    same = isinstance(like, PackedElements) and isinstance(part.elements, PackedElements)
    return part.elements.raw if same and part.elements.layout == like.layout else None  # type: ignore[attr-defined]
