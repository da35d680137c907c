"""Traced packets, each beside what was predicted of it: as a tree, and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.packet import Packet
from nvi_operator.explain.step import Step
from nvi_operator.explain.traced import Traced
from nvi_operator.explain.words import packet_words
from nvi_operator.view.explain.tree import TreeLine, step_lines
from nvi_operator.view.explain.words import step_words
from nvi_operator.view.segment import Segment


@dataclass(frozen=True)
class Sight:
    """One packet that was traced. `ending`: how it ended, in words. `differences`: from the prediction.

    None: nothing was predicted, and `unpredicted` says why.
    """

    kind: Literal["packet", "answer"]
    way: Traced
    steps: tuple[Step, ...]
    ending: str
    differences: tuple[str, ...] | None
    unpredicted: str = ""

    @property
    def heading(self) -> str:
        packet = self.way.entering
        by = f", in by {packet.in_interface}" if packet.in_interface else ", sent by the gateway itself"
        return f"{'answer: ' if self.kind == 'answer' else ''}{packet_words(packet)}{by}"


def traced_tree(sights: list[Sight], *, width: int | None, kernel: bool) -> Iterator[TreeLine]:
    for number, sight in enumerate(sights):
        if number:
            yield ()
        yield (Segment(sight.heading, "bold"),)
        yield from step_lines([step_words(step) for step in sight.steps], width, kernel)
        yield Segment("└─ ", "dim"), Segment(sight.ending, "bold red" if sight.way.dropped else "bold green")
        yield Segment("   as  "), Segment(_plain(sight.way.leaving))
        if sight.differences is None:
            yield (Segment(f"   explain: {sight.unpredicted}", "dim"),)
        elif not sight.differences:
            yield (Segment("   as explain predicts", "green"),)
        for difference in sight.differences or ():
            yield (Segment(f"   not as explain predicts: {difference}", "bold yellow"),)


def traced_json(gateway: str, sights: list[Sight]) -> dict[str, Any]:
    return {"gateway": gateway, "packets": [_sight(sight) for sight in sights]}


def _sight(sight: Sight) -> dict[str, Any]:
    return {
        "kind": sight.kind,
        "inInterface": sight.way.entering.in_interface,
        "packet": packet_words(sight.way.entering),
        "steps": [_step(step) for step in sight.steps],
        "end": sight.ending,
        "leaves": _plain(sight.way.leaving),
        "asPredicted": None if sight.differences is None else not sight.differences,
        "differences": list(sight.differences or ()),
    }


def _step(step: Step) -> dict[str, Any]:
    words = step_words(step)
    return {
        "stage": step.stage,
        "hook": step.hook,
        "did": step.did,
        "label": words.label,
        "text": words.text,
        "origin": words.origin or None,
        "object": words.object or None,
    }


def _plain(packet: Packet) -> str:
    ports = (packet.source_port, packet.destination_port)
    return packet_words(
        Packet(None, packet.protocol, packet.source, packet.destination, *ports, icmp_type=packet.icmp_type)
    )
