"""What was set out to be reached at 100,000 entries, and what is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log

from bench.control import steps as s
from bench.control.rounds import Result
from bench.control.steps import NO_SIZE, STEPS

DEBOUNCE = 0.12  # seconds for which a directory has to be quiet; daemon/debounce.py
_AT = 100_000


@dataclass(frozen=True)
class Measure:
    """Something of a result, how it is written, and what of it is CPU time."""

    of: Callable[[Result], float]
    text: Callable[[float], str]
    cpu: Callable[[Result], float] | None = None


@dataclass(frozen=True)
class Goal:
    what: str
    step: str
    who: str
    most: float
    measure: Measure


def _ratio(result: Result) -> float:
    return result.ratio.median if result.ratio else float("nan")


def _cpu_ratio(result: Result) -> float:
    return result.cpu_ratio.median if result.cpu_ratio else float("nan")


def _cpu(result: Result) -> float:
    return sum(result.cpu) / len(result.samples)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds >= 0.1 else f"{seconds * 1000:.2g} ms"


RATIO = Measure(_ratio, lambda ratio: f"{ratio:.2g} x", _cpu_ratio)
SECONDS = Measure(lambda result: result.seconds.median, _milliseconds, _cpu)
WORST = Measure(lambda result: result.p95, _milliseconds, _cpu)
BEYOND = Measure(lambda result: result.seconds.median - DEBOUNCE, _milliseconds, _cpu)
MEMORY = Measure(lambda result: result.kib / 1024, lambda mib: f"{mib:.0f} MiB")

GOALS: Sequence[Goal] = (
    Goal("packed and applied; to `nft -f`", "load", s.TOPOLOGY, 0.15, RATIO),
    Goal("from cold YAML, validated, to the kernel; to `nft -f`", "load", s.YAML, 2, RATIO),
    Goal("read back and compared; to `nft -j list`", "read", s.OURS, 0.1, RATIO),
    Goal("one edited entry, save to kernel, without the debounce of 120 ms: YAML", "edit", s.YAML, 0.010, BEYOND),
    Goal("the same: CSV", "edit", s.CSV, 0.010, BEYOND),
    Goal("a deleted element is back, p95", "heal", s.ELEMENT, 0.001, WORST),
    Goal("a deleted FIB rule is back, p95", "heal", s.RULE, 0.005, WORST),
    Goal("a deleted route is back, p95", "heal", s.ROUTE, 0.005, WORST),
    Goal("nothing to do: a daemon's reconcile", "idle", s.RECONCILE, 0.000_05, SECONDS),
    Goal("nothing to do: its table alone", "idle", s.TABLE_ALONE, 0.000_05, SECONDS),
    Goal("full verify; to `nft -j list`", "verify", s.RECONCILE, 0.15, RATIO),
    Goal("peak memory: from YAML to the kernel", "load", s.YAML, 150, MEMORY),
    Goal("peak memory: `nvictl apply`, the largest process", "load", s.APPLY, 150, MEMORY),
    Goal("peak memory: `nvictl run`, after edits", "edit", s.YAML, 150, MEMORY),
    Goal("the eBPF programs loaded, with those of the flow cache", "programs", s.ALL_PROGRAMS, 0.02, SECONDS),
    Goal("`nvictl --help`", "start", s.HELP, 0.1, SECONDS),
    Goal("`nvictl validate` of a small spec", "start", s.VALIDATE, 0.1, SECONDS),
    Goal("`nvictl apply` of it", "start", s.APPLY, 0.2, SECONDS),
    Goal("`nvictl plan`, in sync", "start-applied", s.PLAN, 0.18, SECONDS),
    Goal("`nvictl status`", "start-applied", s.STATUS, 0.18, SECONDS),
    Goal("the same, by the socket of `nvictl run`", "start-applied", s.STATUS_OF_DAEMON, 0.06, SECONDS),
    Goal("`nvictl explain`", "start", s.EXPLAIN, 0.2, SECONDS),
    Goal("`nvictl history` of 1,000 revisions", "start-history", s.HISTORY, 0.15, SECONDS),
)


def reached(goal: Goal, results: Mapping[tuple[str, str, int], Result]) -> tuple[str, str, str]:
    """What was reached, the same of CPU time, and yes or no; or that it was not measured."""
    size = NO_SIZE[0] if STEPS[goal.step].sizes == NO_SIZE else _AT
    result = results.get((goal.step, goal.who, size))
    if result is None:
        return "not measured", "", ""
    if not result.rounds:
        return "failed" if result.failed else f"> {result.bound:g} s", "", "no"
    found, text = goal.measure.of(result), goal.measure.text
    cpu = text(goal.measure.cpu(result)) if goal.measure.cpu else ""
    return text(found), cpu, "yes" if found <= goal.most else "no"


def slope(smaller: Result, larger: Result) -> float:
    """d log seconds / d log entries: 1 is linear, 2 quadratic, 0 does not depend on it."""
    times = larger.seconds.median / smaller.seconds.median
    return log(times) / log(larger.size / smaller.size)
