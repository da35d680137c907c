"""Statistics of benchmarks: what a table of ratios is made of."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.report import markdown
from bench.stats import rotated, summary


def test_a_summary_is_the_median_with_quartiles_and_extremes() -> None:
    found = summary([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (found.median, found.low, found.high, found.minimum, found.maximum) == (3, 2, 4, 1, 5)
    assert found.rounds == 5


def test_one_round_is_its_own_summary() -> None:
    found = summary([2.5])
    assert (found.median, found.low, found.high) == (2.5, 2.5, 2.5)


def test_no_rounds_are_no_summary() -> None:
    with pytest.raises(ValueError, match="no rounds"):
        summary([])


def test_in_twice_as_many_rounds_as_names_each_pair_follows_each_other_equally_often() -> None:
    names = ["a", "b", "c"]
    orders = [rotated(names, number) for number in range(6)]
    assert all(sorted(order) == names for order in orders)
    assert set(Counter(order[0] for order in orders).values()) == {2}
    before = Counter((order.index("a") < order.index("b")) for order in orders)
    assert before[True] == before[False]


def test_the_columns_of_a_table_line_up() -> None:
    assert markdown(["a", "long"], [["wide", "1"]]) == "| a    | long |\n| ---- | ---- |\n| wide | 1    |"
