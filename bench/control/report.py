"""What was measured, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from bench.control.goals import GOALS, reached, slope
from bench.control.rounds import Result
from bench.control.steps import EMPTY, NO_SIZE, STEPS
from bench.report import markdown
from bench.stats import Summary

_FROM = 1_000  # entries: below, what has to be done anyway outweighs them


def report(results: Sequence[Result], about: str, absent: Mapping[str, str], *, plot: str | None = None) -> str:
    """All of it; `about` says on what machine, and `plot` is the file of a picture beside the text."""
    parts = [f"{about}; fewer where there are 100,000 entries and more."]
    parts += [f"Not measured: {reason}." for reason in absent.values()]
    parts += ["## Goals, at 100,000 entries", goals(results), *_yardstick(results)]
    if plot:
        parts += ["## Time by number of entries", f"![Time by number of entries, both logarithmic]({plot})"]
    for name in dict.fromkeys(result.step for result in results):
        parts += [f"## {STEPS[name].title}", times([r for r in results if r.step == name])]
    if slopes := slopes_of(results):
        parts += ["## Growth", _GROWTH, slopes]
    return "\n\n".join(parts)


_GROWTH = "d log time / d log entries, from one size to the next: 1 is linear, 0 does not depend on their number."


def _yardstick(results: Sequence[Result]) -> Iterator[str]:
    """A measure of the machine's speed, for times without a ratio."""
    if empty := [result.seconds.median for result in results if result.who == EMPTY and result.rounds]:
        span = " to ".join(dict.fromkeys(map(duration, (min(empty), max(empty)))))
        yield f"What has no x is a time of this machine, on which an empty Python takes {span}."


def goals(results: Sequence[Result]) -> str:
    by = {(result.step, result.who, result.size): result for result in results}
    rows = [[goal.what, goal.measure.text(goal.most), *reached(goal, by)] for goal in GOALS]
    return markdown(["", "at most", "measured", "of CPU time", "reached"], rows)


def times(results: Sequence[Result]) -> str:
    """A row for each contestant of a step: each size, and of the largest the spread and the memory."""
    step = STEPS[results[0].step]
    sizes = list(dict.fromkeys(result.size for result in results))
    who = {who: [r for r in results if r.who == who] for who in dict.fromkeys(r.who for r in results)}
    rows = []
    for name, mine in who.items():
        by = {result.size: result for result in mine}
        cells = [_cell(by[size], delays=step.delays) if size in by else "" for size in sizes]
        done = [result for result in mine if result.rounds]
        rows.append([name, *cells, *(_more(done[-1]) if done else ("", "", ""))])
    numbers = ["time"] if step.sizes == NO_SIZE else [f"{size:,}" for size in sizes]
    unit = "p50 / p95" if step.delays else f"time (to {step.reference}'s)" if step.reference else "time"
    return markdown([unit, *numbers, "quartiles of the last", "its CPU time", "its peak, MiB"], rows)


def _cell(result: Result, *, delays: bool) -> str:
    if not result.rounds:
        return "failed" if result.failed else f"> {result.bound:g} s"
    text = duration(result.seconds.median)
    if delays:
        return f"{text} / {duration(result.p95)}"
    return f"{text} ({_short(result.ratio.median)})" if result.ratio else text


def _more(result: Result) -> tuple[str, str, str]:
    """The spread, the CPU time of doing it once, and the memory."""
    cpu = duration(sum(result.cpu) / len(result.samples))
    if result.cpu_ratio:
        cpu += f" ({_short(result.cpu_ratio.median)})"
    return _spread(result), cpu, f"{result.kib / 1024:.0f}"


def _spread(result: Result) -> str:
    if result.ratio:
        return _quartiles(result.ratio)
    return f"{duration(result.seconds.low)} - {duration(result.seconds.high)}"


def _quartiles(ratio: Summary) -> str:
    return f"{_short(ratio.low)} - {_short(ratio.high)}"


def _short(ratio: float) -> str:
    """Two digits that count."""
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2g}"


def duration(seconds: float) -> str:
    """Three digits that count, or two, in the unit that fits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds / size < 100 else f"{seconds / size:.0f} {unit}"
    return f"{seconds * 1e6:.0f} us"


def slopes_of(results: Sequence[Result]) -> str:
    """A row for each contestant of each step; empty if nothing was measured at two sizes."""
    sizes = sorted({result.size for result in results if result.size >= _FROM})
    spans = list(pairwise(sizes))
    rows = list(_slopes(results, spans))
    return markdown(["step", "who", *(f"{a:,} - {b:,}" for a, b in spans)], rows) if rows else ""


def _slopes(results: Sequence[Result], spans: Sequence[tuple[int, int]]) -> Iterator[list[str]]:
    by = {(r.step, r.who, r.size): r for r in results if r.rounds}
    for step, who in dict.fromkeys((r.step, r.who) for r in results):
        mine = {size: result for (its, whose, size), result in by.items() if (its, whose) == (step, who)}
        found = [f"{slope(mine[a], mine[b]):.2f}" if {a, b} <= mine.keys() else "" for a, b in spans]
        if any(found):
            yield [step, who, *found]
