"""When an uplink is up or down: laws that hold for every series of answers, and the plain cases as examples."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nvi_operator.daemon.health_state import HealthState, TargetState
from nvi_operator.language.model.health import Health, Probe

LOST = None
FAST = 0.01  # seconds


def health(targets: int = 1, **fields: object) -> Health:
    probes = tuple(Probe(ping=ip_address(f"192.0.2.{number}")) for number in range(1, targets + 1))
    return Health.model_validate({"probes": probes, **fields})


Round = tuple[float | None, ...]  # what each target answered


def states(rules: Health, rounds: Sequence[Round], every: float = 1.0) -> list[HealthState]:
    """The state after each round; the first round is at 0 s."""
    state, found = HealthState.initial(rules, 0.0), []
    for number, answers in enumerate(rounds):
        for target, latency in enumerate(answers):
            state = state.after(target, latency, number * every, rules, "" if latency else "no answer")
        found.append(state)
    return found


def told(rules: Health, rounds: Sequence[Round]) -> str:
    """u, d or ? for each round."""
    return "".join({"up": "u", "down": "d", "unknown": "?"}[state.state] for state in states(rules, rounds))


def one(series: str) -> list[Round]:
    """Of one target: `!` an answer, `.` none."""
    return [(FAST if sign == "!" else LOST,) for sign in series]


# --------------------------------------------------------------------------- examples


def test_it_goes_down_after_so_many_losses_in_a_row_and_comes_back_after_so_many_answers() -> None:
    rules = health(down=3, up=2, holdDown=0)
    assert told(rules, one("!..!...!.!!")) == "uuuuuuddddu"


def test_it_is_unknown_until_the_first_answer_or_enough_losses() -> None:
    assert told(health(down=3), one("...")) == "??d"
    assert told(health(down=3), one("..!")) == "??u"


def test_another_quorum_decides_at_once() -> None:
    rules = health(2, quorum=1, down=1, up=1, holdDown=5)
    (up,) = states(rules, [(FAST, LOST)])
    down = up.edited(rules, stricter := health(2, quorum=2, down=1), 7.0)
    assert (up.state, down.state, down.since, down.reason) == ("up", "down", 7.0, "ping 192.0.2.2: no answer")
    assert down.edited(stricter, rules, 11.0).state == "down", "it is held"
    assert down.edited(stricter, rules, 12.0).state == "up"


def test_it_stays_down_for_the_hold_down() -> None:
    assert told(health(down=1, up=1, holdDown=4), one("!.!!!!!!")) == "udddduuu"


def test_one_operator_that_fails_does_not_move_anything() -> None:
    rules = health(3, down=2, quorum=1)
    assert told(rules, [(FAST, FAST, FAST), *[(LOST, LOST, FAST)] * 5]) == "uuuuuu"
    strict = health(3, down=2, quorum=2)
    assert told(strict, [(FAST, FAST, FAST), *[(LOST, LOST, FAST)] * 3]) == "uudd"


def test_the_reason_names_the_targets() -> None:
    state = states(health(2, down=1), [(LOST, LOST)])[-1]
    assert state.reason == "ping 192.0.2.1: no answer, ping 192.0.2.2: no answer"


def test_loss_and_latency_over_the_window_are_failures_and_end_below_four_fifths() -> None:
    rules = health(maxLoss=25, window=4, down=9, up=1, holdDown=0)
    assert told(rules, one("!!.!!..!!!!!")) == "uuuuuddddduu"
    slow = health(maxLatency=100, window=2, up=1, holdDown=0)
    series: list[Round] = [(latency / 1000,) for latency in (50, 50, 140, 90, 90, 80, 79)]
    assert told(slow, series) == "uuudddu"


# --------------------------------------------------------------------------- laws


def rounds_of(rules: Health) -> st.SearchStrategy[list[Round]]:
    answer = st.none() | st.sampled_from([0.001, 0.05, 0.4])
    return st.lists(st.tuples(*[answer] * len(rules.probes)), max_size=60)


@st.composite
def runs(draw: st.DrawFn) -> tuple[Health, list[Round]]:
    targets = draw(st.integers(1, 4))
    limits: dict[str, object] = {
        "quorum": draw(st.integers(1, targets)),
        "down": draw(st.integers(1, 5)),
        "up": draw(st.integers(1, 5)),
        "holdDown": draw(st.integers(0, 20)),
        "window": draw(st.integers(1, 8)),
    }
    for name, most in (("maxLoss", 99), ("maxLatency", 500)):
        if draw(st.booleans()):
            limits[name] = draw(st.integers(1, most))
    rules = health(targets, **limits)
    return rules, draw(rounds_of(rules))


@given(runs())
def test_up_needs_the_quorum_and_down_means_that_it_is_missed(run: tuple[Health, list[Round]]) -> None:
    rules, rounds = run
    before = HealthState.initial(rules, 0.0)
    for state in states(rules, rounds):
        working = sum(target.works is True for target in state.targets)
        failing = sum(target.works is False for target in state.targets)
        if state.state == "up":
            assert len(state.targets) - failing >= rules.quorum
        if (before.state, state.state) == ("down", "up"):
            assert working >= rules.quorum
        before = state


@given(runs())
def test_it_never_comes_back_within_the_hold_down(run: tuple[Health, list[Round]]) -> None:
    rules, rounds = run
    found = states(rules, rounds)
    for before, state in pairwise(found):
        if (before.state, state.state) == ("down", "up"):
            assert state.since - before.since >= rules.hold_down


@given(runs())
def test_a_state_begins_when_it_changes_and_never_returns_to_unknown(run: tuple[Health, list[Round]]) -> None:
    rules, rounds = run
    found = states(rules, rounds)
    for number, (before, state) in enumerate(pairwise(found), start=1):
        assert (state.since == number) or state.state == before.state
        assert state.state != "unknown" or before.state == "unknown"
        assert bool(state.reason) == (state.state == "down")


@given(runs())
def test_perfect_answers_bring_it_up_and_silence_takes_it_down(run: tuple[Health, list[Round]]) -> None:
    rules, rounds = run
    perfect: list[Round] = [(0.0005,) * len(rules.probes)] * int(rules.up + rules.hold_down + rules.window + 1)
    silent: list[Round] = [(LOST,) * len(rules.probes)] * rules.down
    assert states(rules, [*rounds, *perfect])[-1].state == "up"
    assert states(rules, [*rounds, *silent])[-1].state == "down"


@given(runs())
def test_the_window_is_bounded(run: tuple[Health, list[Round]]) -> None:
    rules, rounds = run
    for state in states(rules, rounds):
        assert all(len(target.window) <= rules.window for target in state.targets)


def test_a_target_tells_its_loss_and_latency() -> None:
    state, rules = TargetState(), health(window=4)
    for latency in (0.01, None, 0.03, 0.02):
        state = state.after(latency, "no answer", rules)
    assert (state.loss, round(state.latency or 0)) == (25.0, 20)
