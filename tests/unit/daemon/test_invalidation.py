"""What is passed on to the flow cache, and when."""

from __future__ import annotations

import pytest

from nvi_operator.daemon.invalidation import LONGEST_PAUSE, PAUSE_PER_ENTRY, SHORTEST_PAUSE, Budget


def test_the_first_change_is_passed_on_at_once_and_many_in_a_pause_count_as_one() -> None:
    budget = Budget()
    assert budget.due is None
    budget.push(10.0)
    assert budget.due == 10.0
    budget.passed_on(10.0, entries=1000)
    assert budget.due is None
    for now in (10.01, 10.02, 10.03):
        budget.push(now)
    assert budget.due == 10.0 + 1000 * PAUSE_PER_ENTRY


@pytest.mark.parametrize(("entries", "pause"), [(0, SHORTEST_PAUSE), (2000, 0.2), (10**6, LONGEST_PAUSE)])
def test_the_pause_grows_with_the_flows_and_never_beyond_the_interval(entries: int, pause: float) -> None:
    budget = Budget()
    budget.push(0.0)
    budget.passed_on(0.0, entries)
    budget.push(0.001)
    assert budget.due == pytest.approx(pause)


def test_after_a_calm_a_change_is_passed_on_at_once_again() -> None:
    budget = Budget()
    budget.push(0.0)
    budget.passed_on(0.0, 10**6)
    budget.push(5.0)
    assert budget.due == 5.0
