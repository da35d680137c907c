"""Laws of the debounce, whatever comes when."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nvi_operator.daemon.debounce import Debounce

QUIET, CAP = 0.12, 1.5

gaps = st.lists(st.floats(0.0, 0.5), min_size=1, max_size=60)


def times(steps: list[float]) -> list[float]:
    now, found = 100.0, []
    for step in steps:
        now += step
        found.append(now)
    return found


def fired(debounce: Debounce, pushes: list[float]) -> list[float]:
    """The times at which the debouncer is due, if these events come and every due time is served."""
    acts: list[float] = []
    for now in [*pushes, float("inf")]:
        while (due := debounce.due) is not None and due < now:
            acts.append(due)
            debounce.clear(due)
        if now < float("inf"):
            debounce.push(now)
    return acts


@given(gaps)
def test_nothing_is_forgotten_and_nothing_waits_longer_than_the_cap(steps: list[float]) -> None:
    pushes = times(steps)
    acts = fired(Debounce(QUIET, CAP), pushes)
    for push in pushes:
        assert any(push <= act <= push + CAP + 1e-9 for act in acts)


@given(gaps)
def test_it_acts_in_a_lull_or_at_the_cap(steps: list[float]) -> None:
    pushes = times(steps)
    acts = fired(Debounce(QUIET, CAP), pushes)
    for before, act in zip([0.0, *acts], acts, strict=False):
        burst = [push for push in pushes if before <= push <= act]
        lull = act - burst[-1] >= QUIET - 1e-9
        assert lull or abs(act - (burst[0] + CAP)) < 1e-9


@given(gaps)
def test_acts_are_never_closer_than_the_quiet(steps: list[float]) -> None:
    acts = fired(Debounce(QUIET, CAP, eager=True), times(steps))
    assert all(b - a >= QUIET - 1e-9 for a, b in pairwise(acts))


@given(gaps)
def test_an_eager_one_acts_at_once_after_a_calm(steps: list[float]) -> None:
    pushes = times(steps)
    acts = fired(Debounce(QUIET, CAP, eager=True), pushes)
    assert acts[0] == pushes[0]
    for push in pushes:
        if all(not push - QUIET - 1e-6 <= act < push for act in acts):
            assert any(push <= act <= push + CAP for act in acts)


@given(gaps, st.floats(0.0, 5.0))
def test_held_off_it_waits_but_forgets_nothing(steps: list[float], wait: float) -> None:
    pushes = times(steps)
    debounce = Debounce(QUIET, CAP, eager=True)
    debounce.hold_off(pushes[0] + wait)
    acts = fired(debounce, pushes)
    assert acts
    assert min(acts) >= pushes[0] + wait
    assert max(acts) >= pushes[-1]


def test_an_idle_one_is_never_due() -> None:
    debounce = Debounce()
    assert debounce.due is None
    debounce.push(1.0)
    debounce.clear(2.0)
    assert debounce.due is None


def test_an_eager_one_that_is_due_is_not_put_off() -> None:
    debounce = Debounce(QUIET, CAP, eager=True)
    debounce.push(1.0)
    debounce.push(1.01)
    assert debounce.due == 1.0
