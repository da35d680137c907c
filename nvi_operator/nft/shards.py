"""Large maps as several maps, which are asked one after the other.

To dump a hash map the kernel counts from its start for each message of 32 KiB, so that the time grows with the square
of its elements (nft_hash_walk(), nft_rhash_walk()). A further map costs the first packet of a flow 0.1 us.

The key alone selects the shard, so two elements with one key still meet. The number of shards is part of their names:
where it changes all of them are new maps, which are filled before any rule asks them, and asked all at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from nvi_operator.nft.ast import NamedSet, Shard
from nvi_operator.nft.wire.codec import Codec
from nvi_operator.nft.wire.packed_elements import PackedElements

ROOM = 1 << 16  # of one shard; about half of it is used
_NAME = re.compile(r"(?P<whole>.*)_\d+_of_\d+")
MOST = 256  # shards; each of them is a rule


def declared_size(count: int) -> int:
    """A power of two with room to grow: a map of declared size is a fixed hash, 2-3 x faster to fill."""
    return max(1024, 1 << (2 * count - 1).bit_length())


def shards_for(count: int) -> int:
    """How many maps for so many elements; a power of two."""
    return min(MOST, max(1, declared_size(count) // ROOM))


def shards(named: NamedSet, form: Codec, elements: Collection[bytes]) -> tuple[NamedSet, ...]:
    """The map with these elements, as shards; as itself where it is not large."""
    count = shards_for(len(elements))
    if count == 1:
        packed = PackedElements(form, frozenset(elements))
        return (replace(named, elements=packed, size=declared_size(len(packed))),)
    return tuple(
        replace(
            named,
            name=f"{named.name}_{number}_of_{count}",
            elements=PackedElements(form, part),
            size=max(ROOM, declared_size(len(part))),
            shard=Shard(named.name, number, count),
        )
        for number, part in enumerate(form.parts(elements, count))
    )


def by_whole(maps: Iterable[NamedSet]) -> dict[str, list[NamedSet]]:
    """The maps by the names that they would have as one, shards in the order of their numbers."""
    found: dict[str, list[NamedSet]] = {}
    for named in maps:
        found.setdefault(_whole(named), []).append(named)
    for several in found.values():
        several.sort(key=lambda named: named.shard.number if named.shard else 0)
    return found


def _whole(named: NamedSet) -> str:
    """A listing has nothing but the names."""
    if named.shard:
        return named.shard.whole
    match = _NAME.fullmatch(named.name)
    return match["whole"] if match else named.name


def exchanged(
    maps: Iterable[NamedSet], removed: Iterable[NamedSet], added: Iterable[NamedSet]
) -> list[NamedSet] | None:
    """The maps after elements were removed and others added; `removed` and `added` are packed and not sharded.

    None where elements alone do not do: for another number of shards, another map or more room, and if an element to
    remove is missing.
    """
    old, new, wholes = (
        {named.name: named for named in removed},
        {named.name: named for named in added},
        by_whole(maps),
    )
    for name in old.keys() | new.keys():
        after = _exchanged(wholes.get(name, ()), old.get(name), new.get(name))
        if after is None:
            return None
        wholes[name] = after
    return [named for several in wholes.values() for named in several]


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
