"""Which public ports are taken, so that a few forwards that changed are quickly compared with 100,000 others.

A claim is one number of 64 bits that sorts by ports: first port, last port, and who claims it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

WHOLE = ""  # in the place of a protocol: everything that is sent to the address

# (family, public address or name of an uplink with dynamic ones, protocol)
Place = tuple[int, str, str]

_OWNER = 0xFFFF_FFFF


def claim(first: int, last: int, owner: int) -> int:
    return (first << 16 | last) << 32 | owner


def ports_of(packed: int) -> tuple[int, int]:
    """The first and the last."""
    return packed >> 48, packed >> 32 & 0xFFFF


def owner_of(packed: int) -> int:
    return packed & _OWNER


def in_order(claims: Iterable[int] = ()) -> array[int]:
    """Eight bytes for each."""
    return array("Q", sorted(claims))


def may_overlap(claims: Sequence[int]) -> bool:
    """Does one of these, which are sorted, begin before another ends? Nearly always not, and that is quickly seen."""
    return any(later >> 48 <= earlier >> 32 & 0xFFFF for earlier, later in pairwise(claims))


class Claims:
    """What the forwards of a gateway claim. The caller that fills it puts each array in order and sets `disjoint`:
    forwards for some clients only may share ports.
    """

    __slots__ = ("disjoint", "spans")

    def __init__(self) -> None:
        self.spans: defaultdict[Place, array[int]] = defaultdict(in_order)
        self.disjoint = True

    def exchanged(self, removed: Claims, added: Claims) -> Claims | None:
        """These without some of them, and with others in their place; None where that is not disjoint."""
        if not (self.disjoint and removed.disjoint and added.disjoint):
            return None
        claims = Claims()
        claims.spans.update(self.spans)
        for place, packed in removed.spans.items():
            spans = claims.spans[place] = claims.spans[place][:]
            for number in packed:
                del spans[bisect_left(spans, number & ~_OWNER)]
        for place, packed in added.spans.items():
            spans = claims.spans[place] = claims.spans[place][:]
            for number in packed:
                at = bisect_left(spans, number & ~_OWNER)
                if may_overlap([*spans[max(at - 1, 0) : at], number, *spans[at : at + 1]]):
                    return None
                spans.insert(at, number & ~_OWNER)
        return claims
