"""The elements of one set, kept in the kernel's form: a `Set` of elements like any other, of 80 bytes each.

Nothing is unpacked before somebody looks at it, so that comparing 100,000 forwards with what the kernel holds,
and finding the one that differs, is a matter of milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from heapq import nsmallest
from typing import Any, NamedTuple

from nvi_operator.nft.wire.attributes import WireError
from nvi_operator.nft.wire.layout import Layout, layout_of
from nvi_operator.state.nft import Element, NamedSet


class _Exchange(NamedTuple):
    """How elements came of others: so that the two are compared without looking at each of 100,000."""

    before: frozenset[bytes]
    gone: frozenset[bytes]
    come: frozenset[bytes]


class PackedElements(Set[Element]):
    """Immutable. `raw` is what the kernel holds, or shall hold."""

    __slots__ = ("_exchange", "layout", "raw")

    def __init__(self, layout: Layout, raw: frozenset[bytes], exchange: _Exchange | None = None) -> None:
        self.layout = layout
        self.raw = raw
        self._exchange = exchange

    @classmethod
    def of(cls, layout: Layout, elements: Iterable[Element]) -> PackedElements:
        return cls(layout, layout.pack(elements))

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> Any:
        return frozenset(it)

    def __len__(self) -> int:
        return len(self.raw)

    def __iter__(self) -> Iterator[Element]:
        return map(self._shown, self.raw)

    def __contains__(self, element: object) -> bool:
        try:
            return self.layout.pack([element]) <= self.raw  # type: ignore[list-item]
        except (TypeError, ValueError):
            return False

    def __eq__(self, other: object) -> bool:
        raw = self._raw_of(other)
        if raw is None:
            return NotImplemented
        known = self._known(raw) or (isinstance(other, PackedElements) and other._known(self.raw))
        return raw is self.raw or (not (known.gone or known.come) if known else raw == self.raw)

    __hash__ = None  # type: ignore[assignment]

    def __sub__(self, other: Set[Any]) -> Set[Element]:
        raw = self._raw_of(other)
        if raw is None:
            return super().__sub__(other)
        if isinstance(other, PackedElements) and (known := other._known(self.raw)):
            return PackedElements(self.layout, known.gone)
        return PackedElements(self.layout, self._come(raw))

    def __repr__(self) -> str:
        return f"<{len(self)} elements>"

    def exchanged(self, less: frozenset[bytes], more: frozenset[bytes]) -> PackedElements:
        """Without some, and with others in their place."""
        gone, come = (less - more) & self.raw, more - self.raw
        return PackedElements(self.layout, self.raw - gone | come, _Exchange(self.raw, gone, come))

    def changes(self, old: Set[Element]) -> tuple[frozenset[bytes], frozenset[bytes]]:
        """What of `old` has gone, and what has come. WireError if it holds what this form has no place for."""
        have = old.raw if isinstance(old, PackedElements) else self.layout.pack(old)
        if known := self._known(have):
            return known.gone, known.come
        come = self._come(have)
        return have - self.raw if len(have) + len(come) > len(self.raw) else frozenset(), come

    def _come(self, before: frozenset[bytes]) -> frozenset[bytes]:
        if known := self._known(before):
            return known.come
        return self.raw - before if before else self.raw

    def _known(self, before: frozenset[bytes]) -> _Exchange | None:
        return self._exchange if self._exchange and self._exchange.before is before else None

    def parts(self, count: int) -> tuple[PackedElements, ...]:
        """See `Layout.parts`."""
        return tuple(PackedElements(self.layout, part) for part in self.layout.parts(self.raw, count))

    def none(self) -> PackedElements:
        """Nothing, in the same form."""
        return PackedElements(self.layout, frozenset())

    def _raw_of(self, other: object) -> frozenset[bytes] | None:
        """The same elements as bytes of this layout; None if there are some that it has no place for."""
        if isinstance(other, PackedElements):
            return other.raw if other.layout == self.layout else None
        try:
            return self.layout.pack(other) if isinstance(other, Set) else None
        except WireError:
            return None

    def _shown(self, raw: bytes) -> Element:
        try:
            return self.layout.unpack(raw)
        except WireError:
            return (f"0x{raw.hex()}",), None


def packed(named: NamedSet) -> NamedSet:
    """The same set, its elements in the kernel's form if they have one that we write."""
    found = layout_of(named)
    if found is None or isinstance(named.elements, PackedElements):
        return named
    return replace(named, elements=PackedElements.of(found, named.elements))


def first(elements: Set[Element], count: int) -> list[Element]:
    """So many of them, for a person: those with the lowest addresses, where bytes say so without unpacking all."""
    if isinstance(elements, PackedElements):
        return list(PackedElements(elements.layout, frozenset(nsmallest(count, elements.raw))))
    return sorted(elements, key=str)[:count]
