"""The table after an edit of a few forwards: elements of maps, and all else as it was.

Each forward has elements of its own, because each public port leads to one place (`language/check/forwards.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nvi_operator.nft.ast import NamedSet, Table
from nvi_operator.nft.wire.packed_elements import PackedElements, packed
from nvi_operator.ruleset.dstnat import forward_maps
from nvi_operator.ruleset.shards import by_whole, shards_for
from nvi_operator.topology.model import Topology


def edit_table(table: Table, less: Topology, more: Topology) -> Table | None:
    """`less` and `more` hold the forwards that went and came, and no others. None where more than elements differ."""
    if less.tenants:
        return None  # there are elements that belong to several forwards
    gone, come, maps = _maps(less), _maps(more), by_whole(table.sets)
    sets = {named.name: named for named in table.sets}
    for whole in gone.keys() | come.keys():
        after = _exchanged(maps.get(whole, ()), gone.get(whole), come.get(whole))
        if after is None:
            return None
        sets |= {named.name: named for named in after}
    return replace(table, sets=frozenset(sets.values()))


def _maps(topology: Topology) -> dict[str, NamedSet]:
    return {named.name: packed(named) for family in topology.families for named in forward_maps(topology, family)}


def _exchanged(maps: Sequence[NamedSet], less: NamedSet | None, more: NamedSet | None) -> Sequence[NamedSet] | None:
    """The maps that are one, without some elements and with others; None if then there are not as many of them."""
    if not maps:
        return None
    gone, come = _parts(less, len(maps)), _parts(more, len(maps))
    after = [found for place in zip(maps, gone, come, strict=True) if (found := _with(*place))]
    elements = sum(len(named.elements) for named in after)
    return after if elements and len(after) == len(maps) == shards_for(elements) else None


def _parts(named: NamedSet | None, count: int) -> Sequence[frozenset[bytes]]:
    if named is None:
        return [frozenset()] * count
    assert isinstance(named.elements, PackedElements)  # all maps of forwards are
    return [part.raw for part in named.elements.parts(count)]


def _with(named: NamedSet, less: frozenset[bytes], more: frozenset[bytes]) -> NamedSet | None:
    """The map itself if nothing changes; None if something is not as it should be, or does not fit."""
    if not less and not more:
        return named
    if not isinstance(named.elements, PackedElements) or not less <= named.elements.raw:
        return None
    after = replace(named, elements=named.elements.exchanged(less, more))
    return after if named.becomes(after) else None
