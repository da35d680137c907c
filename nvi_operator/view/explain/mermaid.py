"""An explanation as a Mermaid flowchart: the packet's way from the top down, and below it that of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from nvi_operator.explain.verdict import Delivered, Forwarded
from nvi_operator.language.wording import short
from nvi_operator.view.explain.model import Explanation, WalkTree
from nvi_operator.view.explain.tree import MOST_WAYS, STAGES
from nvi_operator.view.explain.words import StepWords, heading, steps_of, uplink_of, verdict_words
from nvi_operator.view.graph.mermaid import text

_LONGEST = 70
_STYLE = {True: "stroke:#1a7f37,stroke-width:3px", False: "stroke:#cf222e,stroke-width:3px"}


def explanation_mermaid(explanation: Explanation) -> str:
    """The text of a ```mermaid block, with a line feed at its end."""
    return "\n".join(_lines(explanation)) + "\n"


def _lines(explanation: Explanation) -> Iterator[str]:
    yield "flowchart TB"
    for number, way in enumerate(explanation.ways[:MOST_WAYS]):
        yield from _way(explanation, way, f"w{number}")


def _way(explanation: Explanation, way: WalkTree, name: str) -> Iterator[str]:
    """The way, and below it what follows from it."""
    yield f'  subgraph {name}["{text(short(heading(way), _LONGEST))}"]'
    yield "    direction TB"
    keys = [f"{name}_in"]
    packet = way.walk.entering
    yield f'    {keys[0]}(["{text(packet.in_interface or "the gateway itself")}"])'
    for stage, group in groupby(steps_of(way), key=lambda step: step.stage):
        yield f'    subgraph {name}_stage{stage}["{text(STAGES[stage])}"]'
        for label, steps in groupby(group, key=lambda step: step.label):
            keys.append(f"{name}_{len(keys)}")
            yield f'      {keys[-1]}["{_box(label, list(steps))}"]'
        yield "    end"
    keys.append(f"{name}_out")
    verdict = verdict_words(way.walk, uplink_of(explanation.topology, way.walk))
    yield f'    {keys[-1]}(["{text(short(verdict, _LONGEST))}"])'
    yield from (f"    {before} --> {after}" for before, after in pairwise(keys))
    yield "  end"
    yield f"  style {keys[-1]} {_STYLE[isinstance(way.walk.verdict, Forwarded | Delivered)]}"
    for number, each in enumerate(way.after):
        yield from _way(explanation, each, f"{name}_after{number}")
        yield f"  {keys[-1]} -.-> {name}_after{number}_in"


def _box(label: str, steps: Sequence[StepWords]) -> str:
    lines = [f"<b>{text(label)}</b>", *(text(short(step.text, _LONGEST)) for step in steps)]
    origins = dict.fromkeys(step.origin for step in steps if step.origin)
    return "<br/>".join([*lines, *(f"<i>{text(short(origin, _LONGEST))}</i>" for origin in origins)])
