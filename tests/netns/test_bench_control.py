"""The benchmark of the control plane runs, and everybody brings the same into the kernel. Times are not looked at."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.control.__main__ import main
from bench.control.namespace import PREFIX
from bench.control.page import BEGIN, END
from bench.control.rounds import Bench
from bench.control.steps import NFT, STEPS, TOPOLOGY
from tests.examples import ALL
from tests.lab.leftovers import namespaces

pytestmark = pytest.mark.netns

STEPS_HERE = ("load", "change", "idle", "routes") if ALL else ("change", "idle", "routes")


def test_it_measures_everybody_and_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, data = tmp_path / "page.md", tmp_path / "numbers.json"
    page.write_text(f"# Benchmarks\n\n{BEGIN}\n{END}\n")
    quick = ("--sizes", "100", "--rounds", "1", "--only", ",".join(STEPS_HERE))
    assert main([*quick, "--write", str(page), "--json", str(data)]) == 0, capsys.readouterr().err
    results = json.loads(data.read_text())["results"]
    assert {(r["step"], r["who"]) for r in results} == {(n, who) for n in STEPS_HERE for who in STEPS[n].at(100)}
    assert all(r["rounds"] and r["kib"] > 0 for r in results)
    for name in STEPS_HERE:
        assert f"\n## {STEPS[name].title}\n" in page.read_text()
    assert namespaces(PREFIX) == []


def test_a_contestant_that_does_not_load_it_has_no_time(tmp_path: Path) -> None:
    lines: list[str] = []
    step = STEPS["load"]
    does_nothing = {NFT: step.who[NFT], TOPOLOGY: "commands:python"}
    lazy = replace(step, who=does_nothing, million=())
    found = {r.who: r for r in Bench(1, 60.0, tmp_path, lines.append).measure("load", lazy, [100])}
    assert found[NFT].rounds
    assert not found[TOPOLOGY].rounds
    assert "the table differs" in found[TOPOLOGY].failed


def test_a_contestant_that_exceeds_the_bound_is_not_run_again(tmp_path: Path) -> None:
    step = replace(STEPS["load"], who={NFT: STEPS["load"].who[NFT]}, million=())
    small, large = Bench(1, 0.0001, tmp_path, print).measure("load", step, [100, 1000])
    assert (small.rounds, large.rounds, small.failed) == ((), (), "")
    assert namespaces(PREFIX) == []


def test_the_daemon_is_watched_from_outside(tmp_path: Path) -> None:
    for name in ("edit", "heal"):
        step = STEPS[name]
        who, job = next(iter(step.who.items()))
        (found,) = Bench(1, 60.0, tmp_path, print).measure(name, replace(step, who={who: job}, times=1), [100])
        assert found.rounds, found.failed
