"""The fast way for edits: a stored table after elements of its maps were exchanged, without packing it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

from nvi_operator.nft.ast import NamedSet, Table
from nvi_operator.nft.shards import by_whole, shards_for
from nvi_operator.nft.wire.packed_elements import PackedElements, packed


def edit_table(table: Table, removed: Iterable[NamedSet], added: Iterable[NamedSet]) -> Table | None:
    """A stored table with some elements removed and others added, the same as `pack_table` makes of that ruleset.

    `removed` and `added` are maps of the ruleset with these elements alone. None where elements alone do not do: for
    another number of shards, another map or more room, and if an element to remove is missing.
    """
    old, new = ({named.name: packed(named) for named in maps} for maps in (removed, added))
    wholes = by_whole(table.sets)
    for name in old.keys() | new.keys():
        after = _exchanged(wholes.get(name, ()), old.get(name), new.get(name))
        if after is None:
            return None
        wholes[name] = after
    return replace(table, sets=frozenset(chain.from_iterable(wholes.values())))


def _exchanged(maps: Sequence[NamedSet], removed: NamedSet | None, added: NamedSet | None) -> list[NamedSet] | None:
    if not maps:
        return None
    old, new = _parts(removed, len(maps)), _parts(added, len(maps))
    after = [found for shard in zip(maps, old, new, strict=True) if (found := _with(*shard))]
    elements = sum(len(named.elements) for named in after)
    return after if elements and len(after) == len(maps) == shards_for(elements) else None


def _parts(named: NamedSet | None, count: int) -> Sequence[frozenset[bytes]]:
    if named is None:
        return [frozenset()] * count
    assert isinstance(named.elements, PackedElements)
    return [part.raw for part in named.elements.parts(count)]


def _with(named: NamedSet, removed: frozenset[bytes], added: frozenset[bytes]) -> NamedSet | None:
    """The map itself if nothing changes; None if an element is missing, or the map has no room."""
    if not removed and not added:
        return named
    if not isinstance(named.elements, PackedElements) or not removed <= named.elements.raw:
        return None
    after = replace(named, elements=named.elements.exchanged(removed, added))
    return after if named.becomes(after) else None
