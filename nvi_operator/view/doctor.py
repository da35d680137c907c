"""What doctor found: for people as a list, worst first, with commands ready to be pasted; for programs as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from nvi_operator.doctor.finding import LEVELS, Finding
from nvi_operator.language.wording import counted
from nvi_operator.view.segment import Piece, Segment, line
from nvi_operator.view.table import labelled

_STYLES = {"problem": "bold red", "warning": "yellow", "ok": "green"}


def render(findings: Iterable[Finding], width: int | None) -> Iterator[Piece]:
    """Grouped by level. The level is written out, so that nothing depends on colour."""
    found = tuple(findings)
    longest = max((len(finding.topic) for finding in found), default=0)
    for level in LEVELS:
        for finding in (f for f in found if f.level == level):
            label = (Segment(f"{level:<8}", _STYLES[level]), Segment(f" {finding.topic:<{longest}}  "))
            yield from labelled(label, finding.what, width)
            for command in finding.todo.splitlines():
                yield line(f"    {command}")  # nothing is added: it is to be pasted as it is
    yield line(summary(found), "bold")


def summary(findings: Iterable[Finding]) -> str:
    counts = Counter(finding.level for finding in findings)
    problems, warnings = counts["problem"], counts["warning"]
    if not problems and not warnings:
        return "No problems found."
    text = ", ".join(
        counted(number, word) if number else f"no {word}s"
        for number, word in ((problems, "problem"), (warnings, "warning"))
    )
    return f"{text.capitalize()}."


def to_json(findings: Iterable[Finding]) -> dict[str, Any]:
    """`ok` is false exactly when the exit code is 1."""
    found = tuple(findings)
    return {
        "ok": exit_code(found) == 0,
        "findings": [
            {"level": f.level, "topic": f.topic, "what": f.what, "todo": f.todo.splitlines()} for f in found
        ],
    }


def exit_code(findings: Iterable[Finding]) -> int:
    """0 unless there is a problem; warnings and notes do not count."""
    return int(any(finding.level == "problem" for finding in findings))
