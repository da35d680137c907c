"""Backoff, fights, and what a trigger says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvi_operator.daemon.backoff import Backoff
from nvi_operator.daemon.fights import Fights
from nvi_operator.daemon.trigger import Trigger
from nvi_operator.kernel.netlink.events import Event
from nvi_operator.reconcile.outcome import Reason


@given(st.floats(0.0, 1.0, exclude_max=True), st.integers(1, 40))
def test_waits_grow_to_the_cap_and_jitter_takes_at_most_half(random: float, attempts: int) -> None:
    backoff = Backoff(random=lambda: random)
    for attempt in range(attempts):
        whole = min(60.0, 2.0**attempt)
        assert max(1.0, whole / 2) <= backoff.next() <= whole


def test_a_success_resets_the_backoff() -> None:
    backoff = Backoff(random=lambda: 0.0)
    assert [backoff.next() for _ in range(3)] == [1.0, 2.0, 4.0]
    backoff.reset()
    assert backoff.next() == 1.0


def fight(fights: Fights, begin: float, times: int, step: float = 1.0) -> list[float]:
    """Heal `rule` again and again; the waits of the pauses that come of it."""
    found = []
    for number in range(times):
        found += [pause.wait for pause in fights.healed(["rule"], ["evil (pid 7)"], begin + number * step)]
    return found


def test_the_tenth_heal_within_a_minute_makes_a_pause() -> None:
    fights = Fights()
    assert fight(fights, 0.0, 9) == []
    assert fights.paused == frozenset()
    assert fight(fights, 9.0, 1) == [60.0]
    assert fights.paused == {"rule"}


def test_rare_heals_are_no_fight() -> None:
    assert fight(Fights(), 0.0, 100, step=7.0) == []


def test_a_pause_names_the_object_and_whom_the_kernel_named_most() -> None:
    fights = Fights()
    pauses = []
    for number in range(10):
        who = ["once (pid 3)"] if number == 4 else ["evil (pid 7)"]
        pauses += fights.healed(["rule"], who, float(number))
    assert pauses[0].changed_by == ("evil (pid 7)", "once (pid 3)")
    assert (pauses[0].heals, pauses[0].window) == (10, 60.0)


def test_pauses_grow_while_the_fight_goes_on_and_start_again_after_peace() -> None:
    fights, now, waits = Fights(), 0.0, []
    for _ in range(8):
        waits += fight(fights, now, 10, step=0.1)
        end = fights.next_release
        assert end is not None
        assert fights.release(end - 0.001) == frozenset()
        assert fights.release(end) == {"rule"}
        now = end
    assert waits == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]
    assert fights.next_release is None
    assert fight(fights, now + 3601.0, 10) == [60.0]


def test_objects_are_counted_apart() -> None:
    fights = Fights(limit=2)
    fights.healed(["a"], [], 0.0)
    (pause,) = fights.healed(["a", "b"], [], 1.0)
    assert pause.name == "a"
    assert fights.paused == {"a"}


@pytest.mark.parametrize(
    ("reasons", "reread"),
    [
        ({Reason.KERNEL}, False),
        ({Reason.OVERFLOW, Reason.RELEASE}, False),
        ({Reason.KERNEL, Reason.DIRECTORY}, True),
        ({Reason.TIMER}, True),
        ({Reason.START}, True),
        ({Reason.RETRY}, True),
        ({Reason.SIGNAL}, True),
    ],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, set) else str(value),
)
def test_when_the_spec_is_read_again(reasons: set[Reason], reread: bool) -> None:
    assert Trigger(frozenset(reasons)).reread is reread


def test_who_changed_the_kernel_is_another_process_named_once() -> None:
    events = (
        Event("nft", 7, "evil"),
        Event("rule", 7, "evil"),
        Event("rule", 8, "nvictl", own=True),
        Event("link"),
        Event("overflow"),
    )
    assert Trigger(frozenset({Reason.KERNEL}), events).changed_by == ("evil (pid 7)",)
