"""Elements as columns of values: what 100,000 port forwards are until they are packed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Any

from nvi_operator.nft.ast import Element


class ElementColumns(Set[Element]):
    """Elements of a map with exact keys, all different: a column for each field of the key, and then of the value.

    Values are as `Type.column` takes them (nft/wire/types.py): addresses as objects, ports as int, protocols by name.
    """

    def __init__(self, columns: Sequence[Sequence[Any]], key: int) -> None:
        """`key` is the number of columns of the key."""
        self.columns = columns
        self._key = key

    @classmethod
    def _from_iterable(cls, it: Any) -> Any:
        return frozenset(it)

    def __len__(self) -> int:
        return len(self.columns[0])

    def __iter__(self) -> Iterator[Element]:
        for row in zip(*self.columns, strict=True):
            values = tuple(value if isinstance(value, int | str) else str(value) for value in row)
            yield values[: self._key], values[self._key :]

    def __contains__(self, element: object) -> bool:
        return any(element == own for own in self)
