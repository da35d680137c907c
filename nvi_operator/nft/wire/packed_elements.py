"""The elements of one set in the kernel's form: a `Set` of elements like any other, of 80 bytes each.

Elements are unpacked only where they are looked at, so comparing 100,000 forwards with the kernel's, and finding the
one that differs, takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Set
from dataclasses import replace
from heapq import nsmallest
from typing import Any, NamedTuple

from nvi_operator.nft.ast import Element, NamedSet
from nvi_operator.nft.columns import ElementColumns
from nvi_operator.nft.wire.attributes import WireError
from nvi_operator.nft.wire.codec import Codec, codec_of


class _Exchange(NamedTuple):
    """The difference to the elements that these were made from: to compare the two without looking at all of them."""

    before: PackedElements
    removed: frozenset[bytes]
    added: frozenset[bytes]


_NONE: frozenset[bytes] = frozenset()


class PackedElements(Set[Element]):
    """Immutable."""

    __slots__ = ("_exchange", "_raw", "codec")

    def __init__(self, codec: Codec, raw: frozenset[bytes]) -> None:
        self.codec = codec
        self._raw: frozenset[bytes] | None = raw
        self._exchange: _Exchange | None = None

    @property
    def raw(self) -> frozenset[bytes]:
        """The elements as the kernel holds them."""
        if self._raw is None:
            assert self._exchange is not None
            before, removed, added = self._exchange
            self._raw = (removed | added) ^ before.raw  # in this order: the larger set is copied, not built again
        return self._raw

    @classmethod
    def of(cls, codec: Codec, elements: Iterable[Element]) -> PackedElements:
        return cls(codec, frozenset(raw_elements(codec, elements)))

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> Any:
        return frozenset(it)

    def __len__(self) -> int:
        if self._raw is None and self._exchange is not None:
            return len(self._exchange.before) - len(self._exchange.removed) + len(self._exchange.added)
        return len(self.raw)

    def __iter__(self) -> Iterator[Element]:
        return map(self._shown, self.raw)

    def __contains__(self, element: object) -> bool:
        try:
            return self.codec.pack([element]) <= self.raw  # type: ignore[list-item]
        except (TypeError, ValueError):
            return False

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedElements):
            known = self._since(other)
            return not any(known) if known else self.codec == other.codec and self.raw == other.raw
        raw = self._raw_of(other)
        return NotImplemented if raw is None else raw == self.raw

    __hash__ = None  # type: ignore[assignment]

    def __sub__(self, other: Set[Any]) -> Set[Element]:
        known = self._since(other) if isinstance(other, PackedElements) else None
        if known:
            return PackedElements(self.codec, known[1])
        raw = self._raw_of(other)
        return super().__sub__(other) if raw is None else PackedElements(self.codec, self.raw - raw)

    def __repr__(self) -> str:
        return f"<{len(self)} elements>"

    def exchanged(self, removed: frozenset[bytes], added: frozenset[bytes]) -> PackedElements:
        """The elements without some, and with others."""
        present = self.raw
        self._exchange = None  # or every edit would keep all earlier ones alive
        made = PackedElements(self.codec, _NONE)
        made._raw, made._exchange = None, _Exchange(self, (removed - added) & present, added - present)
        return made

    def changes(self, old: Set[Element]) -> tuple[frozenset[bytes], frozenset[bytes]]:
        """(removed, added) from `old` to these. WireError if `old` has elements that do not fit into this set."""
        known = self._since(old) if isinstance(old, PackedElements) else None
        if known:
            return known
        have = old.raw if isinstance(old, PackedElements) else self.codec.pack(old)
        added = self.raw - have if have else self.raw
        return have - self.raw if len(have) + len(added) > len(self.raw) else _NONE, added

    def _since(self, other: PackedElements) -> tuple[frozenset[bytes], frozenset[bytes]] | None:
        """(removed, added) from the other to these, if one of them was made from the other."""
        if other is self:
            return _NONE, _NONE
        if self._exchange and self._exchange.before is other:
            return self._exchange.removed, self._exchange.added
        if other._exchange and other._exchange.before is self:
            return other._exchange.added, other._exchange.removed
        return None

    def parts(self, count: int) -> tuple[PackedElements, ...]:
        """See `Codec.parts`."""
        return tuple(PackedElements(self.codec, part) for part in self.codec.parts(self.raw, count))

    def none(self) -> PackedElements:
        """No elements, with the same codec."""
        return PackedElements(self.codec, frozenset())

    def _raw_of(self, other: object) -> frozenset[bytes] | None:
        """The elements as bytes of this codec; None if some do not fit."""
        if isinstance(other, PackedElements):
            return other.raw if other.codec == self.codec else None
        try:
            return self.codec.pack(other) if isinstance(other, Set) else None
        except WireError:
            return None

    def _shown(self, raw: bytes) -> Element:
        try:
            return self.codec.unpack(raw)
        except WireError:
            return (f"0x{raw.hex()}",), None


def raw_elements(codec: Codec, elements: Iterable[Element]) -> Collection[bytes]:
    """Elements in the kernel's form, each once. WireError names a value that has no place in the set."""
    if isinstance(elements, ElementColumns):
        return codec.pack_columns(elements.columns)
    return elements.raw if isinstance(elements, PackedElements) else codec.pack(elements)


def packed(named: NamedSet) -> NamedSet:
    """The set, its elements in the kernel's form if they have one."""
    found = codec_of(named)
    if found is None or isinstance(named.elements, PackedElements):
        return named
    return replace(named, elements=PackedElements.of(found, named.elements))


def first(elements: Set[Element], count: int) -> list[Element]:
    """So many of them to show: those with the lowest addresses, where bytes tell without unpacking all."""
    if isinstance(elements, PackedElements):
        return list(PackedElements(elements.codec, frozenset(nsmallest(count, elements.raw))))
    return sorted(elements, key=str)[:count]
