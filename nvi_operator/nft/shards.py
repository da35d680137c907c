"""Large maps as several maps, which are asked one after the other.

To dump a hash map the kernel counts from its start for each message of 32 KiB, so that the time grows with the square
of its elements (nft_hash_walk(), nft_rhash_walk()). A further map costs the first packet of a flow 0.1 us.

The key alone selects the shard, so two elements with one key still meet. The number of shards is part of their names:
where it changes all of them are new maps, which are filled before any rule asks them, and asked all at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from nvi_operator.nft.ast import NamedSet, Shard
from nvi_operator.nft.wire.codec import Codec
from nvi_operator.nft.wire.packed_elements import PackedElements

ROOM = 1 << 16  # of one shard; about half of it is used
MOST = 256  # shards; each of them is a rule


def declared_size(count: int) -> int:
    """A power of two with room to grow: a map of declared size is a fixed hash, 2-3 x faster to fill."""
    return max(1024, 1 << (2 * count - 1).bit_length())


def shards_for(count: int) -> int:
    """How many maps for so many elements; a power of two."""
    return min(MOST, max(1, declared_size(count) // ROOM))


def shards(named: NamedSet, codec: Codec, elements: Collection[bytes]) -> tuple[NamedSet, ...]:
    """The map with these elements, as shards; as itself where it is not large."""
    count = shards_for(len(elements))
    if count == 1:
        packed = PackedElements(codec, frozenset(elements))
        return (replace(named, elements=packed, size=declared_size(len(packed))),)
    parts = zip((Shard(named.name, n, count) for n in range(count)), codec.parts(elements, count), strict=True)
    return tuple(
        replace(
            named,
            name=shard.name,
            elements=PackedElements(codec, part),
            size=max(ROOM, declared_size(len(part))),
            shard=shard,
        )
        for shard, part in parts
    )


def by_whole(maps: Iterable[NamedSet]) -> dict[str, list[NamedSet]]:
    """The maps by the names that they would have as one, shards in the order of their numbers."""
    found: dict[str, list[NamedSet]] = {}
    for named in maps:
        found.setdefault(named.shard.whole if named.shard else named.name, []).append(named)
    for several in found.values():
        several.sort(key=lambda named: named.shard.number if named.shard else 0)
    return found
