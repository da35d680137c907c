"""What doctor found: for people as a list, worst first, with commands ready to be pasted; for programs as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nvi_operator.doctor.finding import LEVELS, Finding
from nvi_operator.language.wording import counted

if TYPE_CHECKING:
    from rich.console import RenderableType

_STYLES = {"problem": "bold red", "warning": "yellow", "ok": "green"}


def render(findings: Iterable[Finding]) -> RenderableType:
    """Grouped by level. The level is written out, so that nothing depends on colour."""
    from rich.console import Group
    from rich.text import Text

    from nvi_operator.view.table import LabelledText

    found = tuple(findings)
    width = max((len(finding.topic) for finding in found), default=0)
    lines: list[RenderableType] = []
    for level in LEVELS:
        for finding in (f for f in found if f.level == level):
            label = Text.assemble((f"{level:<8}", _STYLES[level]), f" {finding.topic:<{width}}  ")
            lines.append(LabelledText(label, finding.what))
            if finding.todo:
                # Nothing is added: a line is to be pasted as it is.
                lines += [Text(f"    {line}") for line in finding.todo.splitlines()]
    lines.append(Text(summary(found), style="bold"))
    return Group(*lines)


def summary(findings: Iterable[Finding]) -> str:
    counts = Counter(finding.level for finding in findings)
    problems, warnings = counts["problem"], counts["warning"]
    if not problems and not warnings:
        return "No problems found."
    return (
        ", ".join(
            counted(number, word) if number else f"no {word}s"
            for number, word in ((problems, "problem"), (warnings, "warning"))
        )
        + "."
    )


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
