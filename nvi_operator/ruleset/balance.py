"""Choosing one of several by weight: slots of a hash or of a number generator.

A choice by hash is sticky: it depends on nothing but the client and the members. The seed is a constant, because the
kernel chooses a random one for each rule without: every client would move with each change of the chain. Slots are
assigned one by one, by weighted rendezvous hashing. A member that joins takes its share of the slots from the others,
one that leaves gives its slots back, and no other slot changes its owner.

1024 slots are exact enough for 64 members (each of two has 50 % +- 1.6). With more members the work would grow with
the product of both numbers; the members then own arcs of a ring, which is as sticky and less even.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache, reduce
from hashlib import shake_128
from itertools import groupby
from math import gcd
from typing import NamedTuple

from nvi_operator.language.model.servers import BY_TURN, Pick
from nvi_operator.nft.ast import Element, Field, Hash, Interval, Lookup, Numgen, Parts

SEED = 0x6E7669  # public: it spreads flows, and keeps no secret
SLOTS = 1024
MOST_BY_SLOT = 64  # members
RING = 1 << 16
_POINTS = 16  # of a member of weight 1 on the ring
_MOST_POINTS = RING // 2


class Member(NamedTuple):
    """A member that may be chosen. `key` decides its slots and outlives its address: a new lease moves no client."""

    key: str
    parts: Parts
    weight: int


def spread(pick: Pick, fields: tuple[Field, ...], members: Sequence[Member]) -> Lookup:
    """Equal `fields` choose equally; with `random` and `round-robin` each new flow chooses again."""
    if pick in BY_TURN:
        total, elements = _slots(members)
        return Lookup(Numgen("random" if pick == "random" else "inc", total), elements)
    several = tuple((member.key, member.weight) for member in members)
    few = len(members) <= MOST_BY_SLOT
    owners = _by_slot(several) if few else _by_arc(several)
    return Lookup(Hash(fields, len(owners), SEED), frozenset(_runs(owners, members)))


def _slots(members: Sequence[Member]) -> tuple[int, frozenset[Element]]:
    """The number of slots, and which of them lead to which value, in the order given."""
    divisor = reduce(gcd, (member.weight for member in members))
    elements: list[Element] = []
    start = 0
    for member in members:
        end = start + member.weight // divisor
        elements.append(((_slot(start, end - 1),), member.parts))
        start = end
    return start, frozenset(elements)


def _runs(owners: Sequence[int], members: Sequence[Member]) -> Iterator[Element]:
    first = 0
    for parts, run in groupby(members[owner].parts for owner in owners):
        last = first + len(list(run)) - 1
        yield (_slot(first, last),), parts
        first = last + 1


def _slot(first: int, last: int) -> int | Interval:
    return first if first == last else Interval(first, last)


# --------------------------------------------------------------------------- the owners of slots


@lru_cache(maxsize=256)
def _by_slot(members: tuple[tuple[str, int], ...]) -> tuple[int, ...]:
    """The owner of each slot, as an index of `members`: the one with the least exponential variate for its weight."""
    draws = [[wait / weight for wait in _waits(key)] for key, weight in members]
    numbers = range(len(members))
    owners = [min(numbers, key=waits.__getitem__) for waits in zip(*draws, strict=True)]
    for number in sorted(set(numbers) - set(owners)):  # too light for any slot: it gets the nearest
        others = [slot for slot in range(SLOTS) if owners.count(owners[slot]) > 1]
        owners[min(others, key=draws[number].__getitem__)] = number
    return tuple(owners)


@lru_cache(maxsize=4096)
def _waits(key: str) -> tuple[float, ...]:
    """An exponential variate of each slot, the same on every machine."""
    drawn = memoryview(shake_128(key.encode()).digest(4 * SLOTS))
    return tuple(-math.log((int.from_bytes(drawn[at : at + 4], "big") + 1) / 2**32) for at in range(0, len(drawn), 4))


@lru_cache(maxsize=16)
def _by_arc(members: tuple[tuple[str, int], ...]) -> tuple[int, ...]:
    """The owner of each slot of a ring: the member with the next point."""
    divisor = reduce(gcd, (weight for _, weight in members))
    total = sum(weight // divisor for _, weight in members) * _POINTS
    scale = min(1.0, _MOST_POINTS / total)
    points: dict[int, tuple[str, int]] = {}
    for number, (key, weight) in enumerate(members):
        count = max(1, round(weight // divisor * _POINTS * scale))
        drawn = shake_128(key.encode()).digest(2 * count)
        for at in range(0, 2 * count, 2):
            place = int.from_bytes(drawn[at : at + 2], "big")
            points[place] = min(points.get(place, (key, number)), (key, number))
    owners = [0] * RING
    _, owner = points[min(points)]  # past the last point the first one is the next
    for slot in reversed(range(RING)):
        owner = points.get(slot, ("", owner))[1]
        owners[slot] = owner
    return tuple(owners)
