"""The elements of a set or map, as columns of numbers: what matches one key, or a whole region of keys."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from functools import cached_property
from typing import Any

from nvi_operator.explain.numbers import span_of
from nvi_operator.explain.space import VariableColumn
from nvi_operator.explain.spans import Span, Spans
from nvi_operator.nft.ast import Element, NamedSet, Value, Verdict
from nvi_operator.nft.wire.codec import Codec
from nvi_operator.nft.wire.packed_elements import PackedElements

Datum = tuple[Value, ...] | Verdict | None


class Index:
    """An index of one set. `types` are nft's names of the fields of its keys."""

    def __init__(self, named: NamedSet) -> None:
        self.name = named.name
        self.types = named.key
        self._named = named
        self._found: dict[tuple[int, ...], int | None] = {}

    def __len__(self) -> int:
        return len(self._named.elements)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and self.find(key) is not None

    @cached_property
    def _codec(self) -> Codec | None:
        """The format of elements that `struct` reads at once: exact keys with plain values."""
        elements = self._named.elements
        if not isinstance(elements, PackedElements):
            return None
        codec = elements.codec
        fields = (*codec.key.types, *(codec.value.types if codec.value else ()))
        return codec if codec.size and not codec.ranges and all(field.code for field in fields) else None

    @cached_property
    def _raw(self) -> Sequence[bytes]:
        assert isinstance(self._named.elements, PackedElements)
        return sorted(self._named.elements.raw)

    @cached_property
    def _rows(self) -> Sequence[Element]:
        return sorted(self._named.elements, key=str)

    @cached_property
    def columns(self) -> tuple[VariableColumn, ...]:
        """The columns of the fields of the key."""
        if self._codec:
            return self._unpacked[: len(self.types)]
        columns = []
        for at, type_ in enumerate(self.types):
            spans = [span_of(key[at], type_) for key, _ in self._rows]
            lows = [first for first, _ in spans]
            exact = all(first == last for first, last in spans)
            columns.append(VariableColumn(lows, lows if exact else [last for _, last in spans]))
        return tuple(columns)

    @cached_property
    def values(self) -> tuple[Sequence[int], ...] | None:
        """Columns of plain values, address and perhaps port; None where they are anything else."""
        if self._codec:
            return tuple(column.lows for column in self._unpacked[len(self.types) :])
        types = self._named.values
        if not types or types == ("verdict",) or self._named.prefix_values:
            return None
        data = [value for _, value in self._rows]
        if not all(isinstance(value, tuple) and len(value) == len(types) for value in data):
            return None
        columns = []
        for at, type_ in enumerate(types):
            spans = [span_of(value[at], type_) for value in data]  # type: ignore[index]
            if any(first != last for first, last in spans):
                return None
            columns.append([first for first, _ in spans])
        return tuple(columns)

    @cached_property
    def _unpacked(self) -> tuple[VariableColumn, ...]:
        codec = self._codec
        assert codec is not None
        key, value = codec.key, codec.value
        middle = len(key.padding) + (8 if value else 0)
        code = f"12x{key.code}{middle}x{value.code if value else ''}{len(value.padding) if value else 0}x"
        columns = _columns(code, len(codec.key.types) + len(value.types if value else ()), self._raw)
        found = []
        for column in columns:
            numbers = [int.from_bytes(v, "big") if isinstance(v, bytes) else v for v in column]
            found.append(VariableColumn(numbers, numbers))
        return tuple(found)

    @cached_property
    def spans(self) -> Mapping[Datum, Spans]:
        """The keys, of one field, by what the elements hold."""
        (column,) = self.columns
        found: dict[Datum, list[Span]] = defaultdict(list)
        for row in range(len(self)):
            found[self.datum(row)].append((column.lows[row], column.highs[row]))
        return {datum: Spans.of(parts) for datum, parts in found.items()}

    @property
    def elements(self) -> Set[Element]:
        return self._named.elements

    def element(self, row: int) -> Element:
        if self._codec:
            return self._codec.unpack(self._raw[row])
        return self._rows[row]

    def datum(self, row: int) -> Datum:
        return self.element(row)[1]

    # ------------------------------------------------------------------ one key

    def find(self, key: tuple[int, ...]) -> int | None:
        """The row of a key."""
        if key not in self._found:
            self._found[key] = self._find(key)
        return self._found[key]

    def _find(self, key: tuple[int, ...]) -> int | None:
        if all(column.exact for column in self.columns):
            return self._exact.get(key)
        for row in range(len(self)):
            if all(c.lows[row] <= k <= c.highs[row] for c, k in zip(self.columns, key, strict=True)):
                return row
        return None

    @cached_property
    def _exact(self) -> dict[tuple[int, ...], int]:
        return {key: row for row, key in enumerate(zip(*(c.lows for c in self.columns), strict=True))}


_AT_ONCE = 4096  # rows


def _columns(code: str, fields: int, rows: Sequence[bytes]) -> list[list[Any]]:
    """Many rows at once, as one flat tuple: a tuple for each is what the garbage collector takes long for."""
    columns: list[list[Any]] = [[] for _ in range(fields)]
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        flat = struct.unpack("!" + code * len(part), b"".join(part))
        for at, column in enumerate(columns):
            column += flat[at::fields]
    return columns
