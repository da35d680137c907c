"""Choosing one of several by weight: slots of a hash or of a number generator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import gcd

from nvi_operator.spec.bulk import Pick
from nvi_operator.state.nft import Element, Field, Hash, Interval, Key, Numgen, Parts


def slots(weighted: Sequence[tuple[Parts, int]]) -> tuple[int, frozenset[Element]]:
    """The number of slots, and which of them lead to which value, in the order given."""
    divisor = reduce(gcd, (weight for _, weight in weighted))
    elements: list[Element] = []
    start = 0
    for parts, weight in weighted:
        end = start + weight // divisor
        slot = start if end - start == 1 else Interval(start, end - 1)
        elements.append(((slot,), parts))
        start = end
    return start, frozenset(elements)


def spread_key(pick: Pick, fields: tuple[Field, ...], mod: int) -> Key:
    """`hash`: equal `fields` choose equally; otherwise each new flow chooses anew."""
    if pick == "hash":
        return Hash(fields, mod)
    return Numgen("random" if pick == "random" else "inc", mod)
