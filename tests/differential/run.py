"""Cases one after the other on one stage: what agrees, what is a known limit, what does not agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from nvi_operator.errors import NviError
from tests.differential.case import Case, Talk
from tests.differential.compare import agreeing, report, unmodelled
from tests.differential.predict import machine, predicted, with_entries
from tests.differential.scene import Stage, Step

PER_CASE = 250  # packets, about: an apply takes as long as many packets


@dataclass(frozen=True)
class Disagreement:
    case: Case  # with the talk that shows it
    text: str


@dataclass
class Tally:
    """What a run has come to so far."""

    packets: int = 0
    cases: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # specs that the host refuses, by message
    verdicts: Counter[str] = field(default_factory=Counter)
    limits: Counter[str] = field(default_factory=Counter)  # packets that the engine does not model, by reason

    def __str__(self) -> str:
        lines = [f"{self.packets} packets of {self.cases} gateways"]
        for title, counts in (
            ("agreed", self.verdicts),
            ("not modelled", self.limits),
            ("specs refused", self.refused),
        ):
            lines += [f"  {title}: {sum(counts.values())}"] if counts else []
            lines += [f"    {count:6} {name}" for name, count in counts.most_common()]
        return "\n".join(lines)


def play(stage: Stage, case: Case, tally: Tally) -> Iterator[Disagreement]:
    """Each disagreement of the case, of which the talk ends there. NviError where the host refuses the spec."""
    gateway = stage.apply(case)
    start = machine(gateway)
    marked = bool(case.host.nft)
    tally.cases += 1
    for talk in case.talks:
        now = start
        for step in stage.play(talk):
            tally.packets += 1
            if step.what == "error":  # the engine makes errors itself: `nvi_operator.explain.errors`
                break
            walks = predicted(now, step.sent, marked=marked)
            limit = unmodelled(walks)
            if limit is not None:
                tally.limits[f"{limit.what.name} {limit.detail}".strip()] += 1
                break
            agreed = agreeing(walks, step)
            if agreed is None:
                yield Disagreement(replace(case, talks=(talk,)), report(walks, step))
                break
            tally.verdicts[f"{step.what} {type(agreed.verdict).__name__}"] += 1
            now = with_entries(now, step)
        stage.rest()


def shows(stage: Stage, case: Case) -> str | None:
    """The disagreement that the case shows, in words; None: it shows none, or is not valid."""
    try:
        return next((found.text for found in play(stage, case, Tally())), None)
    except (NviError, AssertionError):
        return None
    finally:
        stage.rest()


def run(
    stage: Stage, cases: Iterator[Case], packets: int, tally: Tally, found: Callable[[Disagreement], bool]
) -> None:
    """Until so many packets were sent, or `found` returns False."""
    for case in cases:
        try:
            for disagreement in play(stage, case, tally):
                if not found(disagreement):
                    return
        except NviError as error:
            tally.refused[str(error)[:200]] += 1
        if tally.packets >= packets:
            return


__all__ = ["PER_CASE", "Disagreement", "Step", "Talk", "Tally", "play", "run", "shows"]
