"""What was measured, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from bench.control.rounds import Result
from bench.control.steps import STEPS
from bench.report import machine, markdown


def report(results: Sequence[Result], rounds: int) -> str:
    parts = [f"{machine()}; {rounds} rounds"]
    for name in dict.fromkeys(result.step for result in results):
        parts += [f"### {STEPS[name].title}", times([r for r in results if r.step == name])]
    return "\n\n".join(parts)


def times(results: Sequence[Result]) -> str:
    """A row for each contestant, and in it each size: median, ratio with its quartiles, memory."""
    sizes = list(dict.fromkeys(result.size for result in results))
    by = {(result.who, result.size): result for result in results}
    rows = [[who, *(_cell(by[who, size]) for size in sizes)] for who in dict.fromkeys(r.who for r in results)]
    return markdown(["", *(f"{size:,}" for size in sizes)], rows)


def _cell(result: Result) -> str:
    if not result.rounds:
        return f"> {result.bound:g} s"
    text = f"{milliseconds(result.seconds.median)} ms"
    if result.ratio:
        text += f", {result.ratio.median:.2f} ({result.ratio.low:.2f}-{result.ratio.high:.2f})"
    return f"{text}, {result.kib / 1024:.0f} MiB"


def milliseconds(seconds: float) -> str:
    """Three digits, or as many as it has before the point."""
    return f"{seconds * 1000:,.{0 if seconds >= 0.1 else 1 if seconds >= 0.01 else 2 if seconds >= 0.001 else 3}f}"
