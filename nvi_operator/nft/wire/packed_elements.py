"""The elements of one set, kept in the kernel's form: a `Set` of elements like any other, of 80 bytes each.

Nothing is unpacked before somebody looks at it, so that comparing 100,000 forwards with what the kernel holds,
and finding the one that differs, is a matter of milliseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Set
from dataclasses import replace
from heapq import nsmallest
from typing import Any, NamedTuple

from nvi_operator.nft.ast import Element, NamedSet
from nvi_operator.nft.columns import ElementColumns
from nvi_operator.nft.wire.attributes import WireError
from nvi_operator.nft.wire.codec import Layout, layout_of


class _Exchange(NamedTuple):
    """How elements came of others: so that the two are compared, or made, without looking at each of 100,000."""

    before: PackedElements
    gone: frozenset[bytes]
    come: frozenset[bytes]


_NONE: frozenset[bytes] = frozenset()


class PackedElements(Set[Element]):
    """Immutable."""

    __slots__ = ("_exchange", "_raw", "layout")

    def __init__(self, layout: Layout, raw: frozenset[bytes]) -> None:
        self.layout = layout
        self._raw: frozenset[bytes] | None = raw
        self._exchange: _Exchange | None = None

    @property
    def raw(self) -> frozenset[bytes]:
        """What the kernel holds, or shall hold."""
        if self._raw is None:
            assert self._exchange is not None
            before, gone, come = self._exchange
            self._raw = (gone | come) ^ before.raw  # in this order: the larger is copied, not made anew
        return self._raw

    @classmethod
    def of(cls, layout: Layout, elements: Iterable[Element]) -> PackedElements:
        return cls(layout, frozenset(raw_elements(layout, elements)))

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> Any:
        return frozenset(it)

    def __len__(self) -> int:
        if self._raw is None and self._exchange is not None:
            return len(self._exchange.before) - len(self._exchange.gone) + len(self._exchange.come)
        return len(self.raw)

    def __iter__(self) -> Iterator[Element]:
        return map(self._shown, self.raw)

    def __contains__(self, element: object) -> bool:
        try:
            return self.layout.pack([element]) <= self.raw  # type: ignore[list-item]
        except (TypeError, ValueError):
            return False

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedElements):
            known = self._since(other)
            return not any(known) if known else self.layout == other.layout and self.raw == other.raw
        raw = self._raw_of(other)
        return NotImplemented if raw is None else raw == self.raw

    __hash__ = None  # type: ignore[assignment]

    def __sub__(self, other: Set[Any]) -> Set[Element]:
        known = self._since(other) if isinstance(other, PackedElements) else None
        if known:
            return PackedElements(self.layout, known[1])
        raw = self._raw_of(other)
        return super().__sub__(other) if raw is None else PackedElements(self.layout, self.raw - raw)

    def __repr__(self) -> str:
        return f"<{len(self)} elements>"

    def exchanged(self, less: frozenset[bytes], more: frozenset[bytes]) -> PackedElements:
        """Without some, and with others in their place."""
        held = self.raw
        self._exchange = None  # its past is over: else every edit would keep all that was before
        made = PackedElements(self.layout, _NONE)
        made._raw, made._exchange = None, _Exchange(self, (less - more) & held, more - held)
        return made

    def changes(self, old: Set[Element]) -> tuple[frozenset[bytes], frozenset[bytes]]:
        """What of `old` has gone, and what has come. WireError if it holds what this form has no place for."""
        known = self._since(old) if isinstance(old, PackedElements) else None
        if known:
            return known
        have = old.raw if isinstance(old, PackedElements) else self.layout.pack(old)
        come = self.raw - have if have else self.raw
        return have - self.raw if len(have) + len(come) > len(self.raw) else _NONE, come

    def _since(self, other: PackedElements) -> tuple[frozenset[bytes], frozenset[bytes]] | None:
        """What has gone and come from the other to this, if one of them was made of the other."""
        if other is self:
            return _NONE, _NONE
        if self._exchange and self._exchange.before is other:
            return self._exchange.gone, self._exchange.come
        if other._exchange and other._exchange.before is self:
            return other._exchange.come, other._exchange.gone
        return None

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


def raw_elements(layout: Layout, elements: Iterable[Element]) -> Collection[bytes]:
    """Elements in the kernel's form, each once. WireError names a value that has no place in the set."""
    if isinstance(elements, ElementColumns):
        return layout.pack_columns(elements.columns)
    return elements.raw if isinstance(elements, PackedElements) else layout.pack(elements)


def packed(named: NamedSet) -> NamedSet:
    """The same set, its elements in the kernel's form if they have one."""
    found = layout_of(named)
    if found is None or isinstance(named.elements, PackedElements):
        return named
    return replace(named, elements=PackedElements.of(found, named.elements))


def first(elements: Set[Element], count: int) -> list[Element]:
    """So many of them, for a person: those with the lowest addresses, where bytes say so without unpacking all."""
    if isinstance(elements, PackedElements):
        return list(PackedElements(elements.layout, frozenset(nsmallest(count, elements.raw))))
    return sorted(elements, key=str)[:count]
