"""Cases one after the other on one stage: what agrees, what is a known limit, what does not agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from nvi_operator.errors import NviError, SpecError
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.verdict import Forwarded, NotModelled, Refused
from nvi_operator.explain.walk import Walk
from tests.differential.case import SELF, Case, Talk
from tests.differential.compare import agreeing, report
from tests.differential.predict import Answers, answered, machine, of_gateway, predicted, told, with_entries
from tests.differential.scene import ERRORS, Stage, Step, reaction

PER_CASE = 250  # talks: an apply takes as long as some hundred packets


@dataclass(frozen=True)
class Disagreement:
    case: Case  # with the talk that shows it
    text: str


@dataclass
class Tally:
    """What a run has come to so far."""

    packets: int = 0
    cases: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # specs that are not valid, by message
    agreed: Counter[str] = field(default_factory=Counter)
    limits: Counter[str] = field(default_factory=Counter)  # packets that the engine does not model, by reason

    def __str__(self) -> str:
        lines = [f"{self.packets} packets of {self.cases} gateways"]
        for title, counts in (
            ("agreed", self.agreed),
            ("not modelled", self.limits),
            ("specs refused", self.refused),
        ):
            lines += [f"  {title}: {sum(counts.values())}"] if counts else []
            lines += [f"    {count:6} {name}" for name, count in counts.most_common()]
        return "\n".join(lines)


def play(stage: Stage, case: Case, tally: Tally) -> Iterator[Disagreement]:
    """Each disagreement of the case, of which the talk ends there. The first may be that the host refuses a spec that
    is valid. SpecError where it is not.
    """
    try:
        gateway = stage.apply(case)
    except SpecError:
        raise
    except NviError as error:
        yield Disagreement(replace(case, talks=()), f"apply: the spec is valid, and the host refuses it: {error}")
        return
    start, by_facts = machine(gateway), told(gateway)
    tally.cases += 1
    for talk in case.talks:
        text = _talk(stage, case, talk, start, by_facts, tally)
        stage.rest()
        if text:
            yield Disagreement(replace(case, talks=(talk,)), text)


def _talk(
    stage: Stage, case: Case, talk: Talk, machine: Machine, by_facts: Machine | None, tally: Tally
) -> str | None:
    """What does not agree; None: all of it does, as far as it is modelled."""
    marked = bool(case.host.nft)
    answers: Answers | None = None
    agreed: Walk | None = None
    for step in stage.play(talk):
        tally.packets += 1
        each = [predicted(machine, step.sent, marked=marked)] if step.what not in ERRORS else []
        each += answers.to(machine, step.what) if answers is not None else []
        if by_facts is not None and step.what == "send":
            each.append(predicted(by_facts, step.sent, marked=marked))
        for walks in each:
            limit = _limit(walks)
            if limit is not None:
                tally.limits[f"{limit.what.name} {limit.detail}".strip()] += 1
                return None
            agreed = agreeing(walks, step, case.host.down)
            if agreed is None:
                return report(walks, step)
            tally.agreed[f"{step.what} {type(agreed.verdict).__name__}"] += 1
            answers = answers or Answers(agreed)
        machine = with_entries(machine, step, agreed)
        reacted = reaction(step) if agreed is not None else None
        if reacted is not None and not reacted.sent.packet.is_error:
            machine = answered(machine)
        if reacted is not None and agreed is not None and _may_react(talk, step) and _is_told(agreed, reacted):
            walks = of_gateway(machine, agreed)
            if _limit(walks) is None and agreeing(walks, reacted, case.host.down) is None:
                return report(walks, reacted)
            tally.agreed["reaction"] += 1
    return None


def _may_react(talk: Talk, step: Step) -> bool:
    """What a socket of the gateway says to an answer depends on the socket."""
    return step.what != "reply" and talk.send.interface != SELF


def _is_told(walk: Walk, reacted: Step) -> bool:
    """Does the engine say what the gateway sends because of it? Not that nothing listens on a port."""
    if walk.chosen or isinstance(walk.verdict, Forwarded):
        return False
    return isinstance(walk.verdict, Refused) == reacted.sent.packet.is_error


def _limit(walks: tuple[Walk, ...]) -> NotModelled | None:
    return next((walk.verdict for walk in walks if isinstance(walk.verdict, NotModelled)), None)


def disagreement(stage: Stage, case: Case) -> str | None:
    """The first one that the case shows, in words; None: all agrees. SpecError where the spec is not valid."""
    return next((found.text for found in play(stage, case, Tally())), None)


def shows(stage: Stage, case: Case) -> str | None:
    """Where does the case show a disagreement, at `apply` or a step of its talk? One that is not valid shows none."""
    try:
        text = disagreement(stage, case)
    except (SpecError, AssertionError):
        return None
    return text.partition(":")[0] if text is not None else None


def run(
    stage: Stage, cases: Iterable[Case], packets: int, tally: Tally, found: Callable[[Disagreement], bool]
) -> None:
    """Until so many packets were sent, or `found` returns False."""
    for case in cases:
        try:
            for each in play(stage, case, tally):
                if not found(each):
                    return
        except SpecError as error:
            tally.refused[str(error)[:200]] += 1
        if tally.packets >= packets:
            return
