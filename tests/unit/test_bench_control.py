"""The benchmark of the control plane, without a kernel: what it makes of numbers, and that its data fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.control import steps as s
from bench.control.colours import COLOURS, PANELS
from bench.control.goals import GOALS, reached, slope
from bench.control.inputs import csv, edited, entries, with_edit, yaml, yaml_beside
from bench.control.page import BEGIN, END, between
from bench.control.report import duration, report
from bench.control.rounds import Result, rounds_at
from bench.control.steps import STEPS
from bench.control.trial import find
from bench.stats import summary
from nvi_operator.language.load.loader import load_texts


def result(step: str, who: str, size: int, seconds: float, *, ratio: float | None = None) -> Result:
    of_rounds = None if ratio is None else summary([ratio])
    return Result(step, who, size, 120.0, ((seconds,),), (seconds,), 100 * 1024, of_rounds, of_rounds)


@pytest.mark.parametrize("name", STEPS)
def test_every_job_of_a_step_is_there(name: str) -> None:
    step = STEPS[name]
    if s.BINDING in s.missing():
        pytest.skip(s.missing()[s.BINDING])
    jobs = {*step.who.values(), *(step.verify or {}).values(), *([step.before] if step.before else [])}
    assert all(callable(find(job)) for job in jobs)
    assert step.reference is None or step.reference in step.who
    assert set(step.million) <= set(step.who)


def test_every_goal_is_about_a_contestant_of_its_step() -> None:
    assert all(goal.who in STEPS[goal.step].who for goal in GOALS)


def test_all_forms_of_the_gateway_mean_the_same() -> None:
    listed = list(entries(1000))
    one = load_texts({"g.yaml": yaml(listed)}).spec
    other = load_texts({"g.yaml": yaml_beside("f.csv"), "f.csv": csv(listed)}).spec
    assert len(one.forwards) == 1000
    assert one.forwards == other.forwards


def test_an_edit_changes_one_entry_and_each_edit_is_another() -> None:
    before, once, twice = (list(with_edit(100, number)) for number in (0, 1, 2))
    assert before == list(entries(100))
    assert [new for old, new in zip(before, once, strict=True) if old != new] == [edited(100, 1)]
    assert edited(100, 1) in once
    assert edited(100, 1) not in twice


def test_a_goal_is_reached_or_not_or_was_not_measured() -> None:
    goal = GOALS[0]
    by = {(goal.step, goal.who, 100_000): result(goal.step, goal.who, 100_000, 1.0, ratio=goal.most)}
    assert reached(goal, by) == ("0.15 x", "0.15 x", "yes")
    by[goal.step, goal.who, 100_000] = result(goal.step, goal.who, 100_000, 1.0, ratio=goal.most * 2)
    assert reached(goal, by) == ("0.3 x", "0.3 x", "no")
    assert reached(goal, {}) == ("not measured", "", "")


def test_the_slope_of_what_takes_ten_times_as_long_for_ten_times_as_many_is_one() -> None:
    assert slope(result("load", s.NFT, 100, 0.1), result("load", s.NFT, 1000, 1.0)) == pytest.approx(1)
    assert slope(result("load", s.NFT, 100, 0.1), result("load", s.NFT, 1000, 10.0)) == pytest.approx(2)


def test_a_contestant_that_took_too_long_is_in_the_table_without_a_time() -> None:
    slow = Result("load", s.FERM, 1000, 120.0, (), (), 0)
    text = report([result("load", s.NFT, 1000, 0.5, ratio=1.0), slow], "a machine", {})
    assert "\n| ferm            | > 120 s " in text
    assert "500 ms (1.0)" in text


def test_a_page_keeps_what_is_outside_of_its_marks() -> None:
    page = f"above\n{BEGIN}\nold\n{END}\nbelow\n"
    assert between(page, "new") == f"above\n{BEGIN}\n\nnew\n\n{END}\nbelow\n"
    with pytest.raises(ValueError, match="measured"):
        between("no marks", "new")


def test_the_page_of_the_documentation_has_its_marks() -> None:
    page = Path(__file__).parents[2] / "docs/benchmarks.md"
    assert "new" in between(page.read_text(encoding="utf-8"), "new")


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.34, "12.3 s"), (0.5, "500 ms"), (0.0123, "12.3 ms"), (0.000_05, "50 us")]
)
def test_durations_are_told_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_large_sizes_are_measured_less_often() -> None:
    assert [rounds_at(size, 3) for size in (1, 10_000, 100_000, 1_000_000)] == [3, 3, 2, 1]
    assert rounds_at(100_000, 1) == 1


def test_the_picture_has_a_colour_for_each_contestant() -> None:
    drawn = {who for name in PANELS for who in STEPS[name].who}
    assert drawn <= COLOURS.keys()
