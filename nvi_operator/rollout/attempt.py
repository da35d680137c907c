"""One try of a spec, recorded: begun before the first step is taken, and what came of it before it is reported.

A try that found nothing to do, of the spec that holds already, leaves no record. Where nothing can be recorded, the
gateway is changed all the same, and `say` gets the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from nvi_operator.errors import NviError, RevertError
from nvi_operator.history.revision import Content, Revision, RevisionResult, Standing
from nvi_operator.history.store import History, HistoryError
from nvi_operator.plan.change import Change, Plan
from nvi_operator.reconcile.outcome import Outcome
from nvi_operator.rollout.audit import tell
from nvi_operator.topology.model import Topology

_LONGEST = 1 << 16  # characters of a plan that are kept


class Attempt:
    """`revision` is what is known before: who asks for what. `step` is for `reconcile`, as its `on_step`."""

    def __init__(self, history: History, revision: Revision, content: Content, say: Callable[[str], None]) -> None:
        self._history = history
        self._content = content
        self._say_to, self._told = say, set[str]()
        self._began = time.monotonic()
        self._recorded = False  # or tried to
        self.revision = revision  # as it was recorded last; number 0 where it was not

    def step(self, change: Change) -> None:
        """Before each step."""
        if not self._recorded:
            self._record(self.revision, durable=False)

    def done(
        self, outcome: Outcome, before: Topology | None = None, standing: Standing = Standing.CONFIRMED
    ) -> Revision:
        """It holds. `before`: what the gateway was, which names the entries that are no more."""
        made = replace(
            self.revision,
            result=RevisionResult.APPLIED if outcome.plan else RevisionResult.UNCHANGED,
            standing=standing,
            reasons=tuple(sorted(reason.value for reason in outcome.reasons)),
            plan=plan_text(outcome.plan, before),
            steps=len(outcome.plan.steps),
            seconds=time.monotonic() - self._began,
        )
        if outcome.plan or not self._stands():
            self._record(made)
        else:
            self.revision = made
        return self.revision

    def stopped(self, error: NviError) -> Revision:
        """It does not hold."""
        if isinstance(error, RevertError):
            result = RevisionResult.FAILED
        else:
            result = RevisionResult.REVERTED if error.reverted and self._recorded else RevisionResult.REFUSED
        self._record(replace(self.revision, result=result, error=str(error), seconds=time.monotonic() - self._began))
        return self.revision

    def _say(self, text: str) -> None:
        """Once: a try is recorded twice."""
        if text not in self._told:
            self._told.add(text)
            self._say_to(text)

    def _stands(self) -> bool:
        """Is this what the newest revision holds already?"""
        with suppress(HistoryError):  # then it is recorded, which sets a damaged store aside
            newest = self._history.newest()
            return newest is not None and newest.holds and self._history.is_newest(self._content)
        return False

    def _record(self, revision: Revision, *, durable: bool = True) -> None:
        self._recorded = True
        try:
            if revision.number:
                self._history.change(revision)
            else:
                revision = self._history.add(revision, self._content, durable=durable)
        except HistoryError as error:
            self._say(f"{error.message}: this change is not recorded")
        for warning in self._history.take_warnings():
            self._say(warning)
        self.revision = revision
        if problem := tell(self._history.path.parent, revision, revision.result.value):
            self._say(f"{problem}: this is not in it")


def plan_text(plan: Plan, before: Topology | None) -> str:
    """The plan as `nvictl plan` prints it, after it was done."""
    from nvi_operator.plan.trace import trace
    from nvi_operator.view.entries import entry_lines
    from nvi_operator.view.plan import done, stranded_lines

    if not plan:
        return ""
    lines = [f"{sign} {line}".strip() for sign, line in entry_lines(trace(plan, before))]
    return "\n".join([*lines, *stranded_lines(plan.stranded), f"{done(plan)}."])[:_LONGEST]
