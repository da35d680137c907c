"""Which of several is chosen: fair by weight, and the same for as long as it is there."""

from __future__ import annotations

from collections import Counter

import pytest

from nvi_operator.nft.ast import Data, Field, Hash, Interval, Lookup, Numgen
from nvi_operator.ruleset.balance import MOST_BY_SLOT, SEED, SLOTS, Member, spread

SADDR = (Field("ip saddr"),)


def members(weights: dict[str, int]) -> list[Member]:
    return [Member(name, (f"10.0.{n // 250}.{n % 250}",), w) for n, (name, w) in enumerate(sorted(weights.items()))]


def owners(weights: dict[str, int]) -> list[str]:
    """The owner of each slot."""
    found = spread("hash", SADDR, several := members(weights))
    names: dict[Data, str] = {member.parts: member.key for member in several}
    assert isinstance(found.key, Hash)
    assert isinstance(found.map, frozenset)
    slots: dict[int, str] = {}
    for (slot,), data in found.map:
        first, last = (slot.first, slot.last) if isinstance(slot, Interval) else (slot, slot)
        slots.update((number, names[data]) for number in range(int(first), int(last) + 1))
    assert sorted(slots) == list(range(found.key.mod)), "each slot has an owner"
    return [slots[number] for number in sorted(slots)]


def moved(before: dict[str, int], after: dict[str, int]) -> float:
    one, other = owners(before), owners(after)
    assert len(one) == len(other), "another number of slots moves everybody"
    return sum(a != b for a, b in zip(one, other, strict=True)) / len(one)


def of(*names: str, weight: int = 1) -> dict[str, int]:
    return dict.fromkeys(names, weight)


EQUAL = [
    of(*(f"192.168.1.{n}" for n in range(10, 10 + count))) for count in (1, 2, 3, 4, 8, 12, 32, MOST_BY_SLOT - 1)
]
LARGE = [of(*(f"192.168.{n}.1" for n in range(count))) for count in (MOST_BY_SLOT + 1, 200)]


@pytest.mark.parametrize("before", EQUAL + LARGE, ids=len)
def test_a_new_server_takes_its_share_and_nothing_else_moves(before: dict[str, int]) -> None:
    after = before | of("192.168.1.200")
    assert all(b in (a, "192.168.1.200") for a, b in zip(owners(before), owners(after), strict=True))
    assert moved(before, after) == moved(after, before)


def test_what_moves_is_the_ideal_share_or_little_more() -> None:
    for count in (1, 2, 3, 4, 8):
        found = [moved(of(*names[:-1]), of(*names)) * (count + 1) for names in _sites(count + 1)]
        assert sum(found) / len(found) == pytest.approx(1, abs=0.05), count
        assert max(found) <= 1.2, count


def _sites(count: int) -> list[list[str]]:
    return [[f"10.{site}.0.{host}" for host in range(count)] for site in range(20)]


@pytest.mark.parametrize("weights", [(1, 1), (3, 1), (70, 30), (1, 1, 1, 1), (2, 3, 5), (100, 10)])
def test_each_has_its_share(weights: tuple[int, ...]) -> None:
    shares = {f"isp-{number}": weight for number, weight in enumerate(weights)}
    found = Counter(owners(shares))
    for name, weight in shares.items():
        assert found[name] / SLOTS == pytest.approx(weight / sum(weights), abs=0.05)


def test_a_weight_that_grows_takes_from_the_others_only_what_it_gains() -> None:
    before, after = {"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 1, "c": 1}
    assert moved(before, after) <= 1.2 * (1 / 2 - 1 / 3)
    assert all(y in (x, "a") for x, y in zip(owners(before), owners(after), strict=True))


def test_the_least_of_weights_has_a_slot() -> None:
    assert Counter(owners({f"a{n}": 1000 for n in range(9)} | {"b": 1}))["b"] == 1


def test_the_order_that_they_are_named_in_means_nothing() -> None:
    several = members(of("a", "b", "c"))
    assert spread("hash", SADDR, several) == spread("hash", SADDR, several[::-1])


def test_the_seed_is_written_so_that_the_kernel_chooses_none() -> None:
    assert spread("hash", SADDR, members(of("a", "b"))).key == Hash(SADDR, SLOTS, SEED)


def test_random_and_in_turn_need_as_many_slots_as_weights() -> None:
    several = members({"a": 30, "b": 10})
    slots = frozenset({((Interval(0, 2),), several[0].parts), ((3,), several[1].parts)})
    assert spread("random", SADDR, several) == Lookup(Numgen("random", 4), slots)
    assert spread("round-robin", SADDR, several) == Lookup(Numgen("inc", 4), slots)


def test_a_large_pool_is_shared_by_weight_as_well() -> None:
    weights = of(*(f"10.0.0.{n}" for n in range(200))) | {"10.0.1.1": 100}
    found = Counter(owners(weights))
    assert min(found.values()) > 0
    assert found["10.0.1.1"] / sum(found.values()) == pytest.approx(1 / 3, abs=0.05)
