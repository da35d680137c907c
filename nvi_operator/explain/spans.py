"""Sets of numbers as spans: ports, protocols, addresses as integers. Immutable; each is sorted and merged."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from operator import itemgetter

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.values import Address, Network

Span = tuple[int, int]  # the first and the last
_FIRST, _LAST = itemgetter(0), itemgetter(1)


@dataclass(frozen=True)
class Spans:
    """The parts are in order, and neither overlap nor touch."""

    parts: tuple[Span, ...] = ()

    @classmethod
    def of(cls, parts: Iterable[Span]) -> Spans:
        """Make them from spans in any order, which may overlap."""
        joined: list[Span] = []
        for first, last in sorted(parts):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(joined[-1][1], last))
            else:
                joined.append((first, last))
        return cls(tuple(joined))

    @classmethod
    def one(cls, number: int) -> Spans:
        return cls(((number, number),))

    @classmethod
    def networks(cls, networks: Iterable[Network]) -> Spans:
        return cls.of((int(n[0]), int(n[-1])) for n in networks)

    @classmethod
    def addresses(cls, addresses: Iterable[Address]) -> Spans:
        return cls.of((int(a), int(a)) for a in addresses)

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __iter__(self) -> Iterator[Span]:
        return iter(self.parts)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self.parts, number, key=_FIRST)
        return at > 0 and number <= self.parts[at - 1][1]

    @property
    def first(self) -> int:
        return self.parts[0][0]

    @property
    def last(self) -> int:
        return self.parts[-1][1]

    @property
    def is_point(self) -> bool:
        return len(self.parts) == 1 and self.first == self.last

    def shifted(self, by: int) -> Spans:
        return Spans(tuple((first + by, last + by) for first, last in self.parts)) if by else self

    def __and__(self, other: Spans) -> Spans:
        if len(other.parts) == 1:
            return self._between(*other.parts[0])
        if len(self.parts) == 1:
            return other._between(*self.parts[0])
        if self.parts == other.parts:
            return self
        found: list[Span] = []
        mine, theirs = self.parts, other.parts
        i = j = 0
        while i < len(mine) and j < len(theirs):
            first, last = max(mine[i][0], theirs[j][0]), min(mine[i][1], theirs[j][1])
            if first <= last:
                found.append((first, last))
            if mine[i][1] < theirs[j][1]:
                i += 1
            else:
                j += 1
        return Spans(tuple(found))

    def _between(self, first: int, last: int) -> Spans:
        parts = self.parts
        if not parts or (first <= parts[0][0] and parts[-1][1] <= last):
            return self
        start = bisect_left(parts, first, key=_LAST)
        end = bisect_right(parts, last, lo=start, key=_FIRST)
        if start == end:
            return NOTHING
        kept = list(parts[start:end])
        kept[0] = max(kept[0][0], first), kept[0][1]
        kept[-1] = kept[-1][0], min(kept[-1][1], last)
        return Spans(tuple(kept))

    def __sub__(self, other: Spans) -> Spans:
        found: list[Span] = []
        theirs = other.parts
        j = 0
        for first, last in self.parts:
            while j < len(theirs) and theirs[j][1] < first:
                j += 1
            k = j
            while k < len(theirs) and theirs[k][0] <= last:
                if theirs[k][0] > first:
                    found.append((first, theirs[k][0] - 1))
                first = theirs[k][1] + 1
                k += 1
            if first <= last:
                found.append((first, last))
        return Spans(tuple(found))

    def __or__(self, other: Spans) -> Spans:
        return Spans.of((*self.parts, *other.parts))


NOTHING = Spans()
PORTS = Spans(((0, 65535),))
BYTE = Spans(((0, 255),))
ADDRESSES = {4: Spans(((0, (1 << 32) - 1),)), 6: Spans(((0, (1 << 128) - 1),))}
