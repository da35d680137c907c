"""An explanation as a tree, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap

from nvi_operator.explain.verdict import Delivered, Forwarded
from nvi_operator.explain.walk import Walk
from nvi_operator.view.explain.model import Explanation, WalkTree
from nvi_operator.view.explain.words import (
    StepWords,
    ending_words,
    heading,
    steps_of,
    uplink_of,
    verdict_words,
)
from nvi_operator.view.segment import Segment

MOST_WAYS = 8  # of one packet; the JSON has all
_NARROWEST = 60
_LONGEST_LABEL = 15
STAGES = {0: "before the first pass", 1: "stage 1: translate", 2: "stage 2: route"}


TreeLine = tuple[Segment, ...]


def tree(explanation: Explanation, *, width: int | None = None, kernel: bool = False) -> Iterator[TreeLine]:
    """Lines without line feeds. `width`: of a terminal, None for any; `kernel`: with rules as nft has them."""
    yield (Segment(f"gateway {explanation.gateway}: {explanation.about}", "bold"),)
    for note in explanation.notes:
        yield from ((Segment(text),) for text in _wrapped(note, "", width))
    ways = explanation.ways
    for number, way in enumerate(ways[:MOST_WAYS], start=1):
        if len(ways) > 1:
            chosen = f": {', '.join(way.walk.chosen)}" if way.walk.chosen else ""
            yield ()
            yield (Segment(f"way {number} of {len(ways)}{chosen}", "bold"),)
        for each in way.all():
            yield ()
            yield from _way(explanation, each, width, kernel)
    if (more := len(ways) - MOST_WAYS) > 0:
        yield ()
        yield (Segment(f"and {more} more ways (see -o json)"),)


def _way(explanation: Explanation, way: WalkTree, width: int | None, kernel: bool) -> Iterator[TreeLine]:
    yield (Segment(heading(way), "bold"),)
    yield from step_lines(list(steps_of(way)), width, kernel)
    yield from _ending(explanation, way, width)


def step_lines(steps: Sequence[StepWords], width: int | None, kernel: bool) -> Iterator[TreeLine]:
    """The steps by stage; the end of the way follows below them."""
    size = min(max((len(step.label) for step in steps), default=0), _LONGEST_LABEL)
    for stage, group in groupby(steps, key=lambda step: step.stage):
        yield Segment("├─ ", "dim"), Segment(STAGES[stage], "cyan")
        yield from _steps(list(group), size, width, kernel)


def _steps(steps: Sequence[StepWords], size: int, width: int | None, kernel: bool) -> Iterator[TreeLine]:
    for number, step in enumerate(steps):
        again = number > 0 and steps[number - 1].label == step.label
        last = not any(other.label != step.label for other in steps[number + 1 :])
        follows = "   " if last else "│  "
        branch = follows if again else ("└─ " if last else "├─ ")
        label = "" if again else step.label
        hang = "│  " + follows + " " * (size + 2)
        for at, text in enumerate(_wrapped(step.text, hang, width, len(label) - size)):
            if at:
                yield Segment(hang, "dim"), Segment(text)
            else:
                yield Segment("│  " + branch, "dim"), Segment(f"{label:<{size}}  "), Segment(text)
        if step.origin and (not number or steps[number - 1].origin != step.origin):
            yield Segment(hang, "dim"), Segment(step.origin, "green")
        if kernel and step.object:
            yield from ((Segment(hang, "dim"), Segment(text, "dim")) for text in _wrapped(step.object, hang, width))


def _ending(explanation: Explanation, way: WalkTree, width: int | None) -> Iterator[TreeLine]:
    walk = way.walk
    hang = " " * 3
    verdict = verdict_words(walk, uplink_of(explanation.topology, walk))
    for number, text in enumerate(_wrapped(verdict, hang, width)):
        yield Segment(hang if number else "└─ ", "dim"), Segment(text, _style(walk))
    rows = list(ending_words(explanation, way))
    size = max((len(label) for label, _ in rows), default=0)
    for label, text in rows:
        for number, part in enumerate(_wrapped(text, hang + " " * (size + 2), width)):
            yield Segment(f"{hang}{'' if number else label:<{size}}  ", "dim"), Segment(part)


def _style(walk: Walk) -> str:
    return "bold green" if isinstance(walk.verdict, Forwarded | Delivered) else "bold red"


def _wrapped(text: str, hang: str, width: int | None, more: int = 0) -> list[str]:
    """Lines that fit behind `hang`. `more`: by so much a long label moves the first one."""
    if width is None:
        return [text]
    room = max(width, _NARROWEST) - len(hang)
    first = " " * max(more, 0)
    lines = wrap(first + text, room, break_long_words=False, break_on_hyphens=False, drop_whitespace=True)
    return [line.strip() for line in lines] or [""]
