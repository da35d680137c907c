"""Maps of very many elements as several, which are asked one after the other.

To dump a hash map the kernel counts from its start for each message of 32 KiB, so that the time grows with the square
of its elements (nft_hash_walk(), nft_rhash_walk()). Only the first packet of a flow asks, 0.1 us for each map.

In which of them an element is says its key alone, so two of one key still meet. How many there are is part of their
names: where that changes they are all other maps, which are filled before anybody asks them, and asked all at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from nvi_operator.nft.ast import NamedSet
from nvi_operator.nft.wire.codec import Layout, layout
from nvi_operator.nft.wire.packed_elements import PackedElements, packed

ROOM = 1 << 16  # of one of several; about half of it is used
MOST = 256  # several; each of them is a rule

_NAME = re.compile(r"(?P<whole>.*)_(?P<number>\d+)_of_\d+")


def declared_size(count: int) -> int:
    """A power of two with room to grow: a map of declared size is a fixed hash, 2-3 x faster to fill."""
    return max(1024, 1 << (2 * count - 1).bit_length())


def shards_for(count: int) -> int:
    """How many maps for so many elements; a power of two."""
    return min(MOST, max(1, declared_size(count) // ROOM))


def shards(named: NamedSet) -> tuple[NamedSet, ...]:
    """A map with exact keys as those that it is best asked as; itself, with a size, if it is not large."""
    elements = packed(named).elements
    assert isinstance(elements, PackedElements)
    return _shards(named, elements.layout, elements.raw)


def shards_of_columns(
    name: str, key: tuple[str, ...], values: tuple[str, ...], columns: Sequence[Iterable[Any]]
) -> tuple[NamedSet, ...]:
    """The same of elements in columns (`Layout.pack_columns`), all of them different; of 100,000 less work."""
    found = layout(key, values)
    assert found is not None, f"{key} : {values} has no binary form"
    return _shards(NamedSet(name, key, frozenset(), values), found, found.pack_columns(columns))


def _shards(named: NamedSet, form: Layout, elements: Collection[bytes]) -> tuple[NamedSet, ...]:
    count = shards_for(len(elements))
    least = ROOM if count > 1 else 0
    return tuple(
        replace(
            named,
            name=f"{named.name}_{number}_of_{count}" if count > 1 else named.name,
            elements=PackedElements(form, part),
            size=max(least, declared_size(len(part))),
        )
        for number, part in enumerate(form.parts(elements, count))
    )


def by_whole(maps: Iterable[NamedSet]) -> dict[str, list[NamedSet]]:
    """The maps by the names that they would have as one, in the order of their numbers."""
    found: dict[str, dict[int, NamedSet]] = {}
    for named in maps:
        match = _NAME.fullmatch(named.name)
        whole, number = (match["whole"], int(match["number"])) if match else (named.name, 0)
        found.setdefault(whole, {})[number] = named
    return {whole: [numbered[number] for number in sorted(numbered)] for whole, numbered in found.items()}
