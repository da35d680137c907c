"""What the daemon records in the history: each spec that it tries, once; and again when something else comes of it.

What it heals and what probes make it do is no revision: `nvictl events` tells of that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nvi_operator.daemon.judge import InForce
from nvi_operator.history.revision import Origin, Revision, Standing
from nvi_operator.history.store import History
from nvi_operator.plan.change import Change
from nvi_operator.reconcile.outcome import Outcome
from nvi_operator.rollout.attempt import Attempt
from nvi_operator.rollout.place import asked
from nvi_operator.topology.model import Topology


class Recording:
    """`root` is where specs are loaded from; `say` gets what cannot be recorded."""

    def __init__(self, history: History, root: Path, say: Callable[[str], None]) -> None:
        self._history = history
        self._root = root
        self.say = say
        self._used: InForce | None = None
        self._attempt: Attempt | None = None  # of this spec
        self._came: tuple[str, ...] | None = None  # of it: the errors; None: nothing is recorded yet
        self._delta = False
        self._before: Topology | None = None  # the last one that held

    def begin(self, used: InForce, *, delta: bool) -> None:
        """Before each reconcile. `delta`: the spec is an edit of the one before; that is recorded afterwards only."""
        if used is self._used:
            return
        who = asked(f"nvictl run {self._root}")
        revision = Revision(0, time.time(), used.content.gateway, used.action, who, of=used.of)
        self._used, self._came, self._delta = used, None, delta
        self._attempt = Attempt(self._history, revision, used.content, self.say)

    def step(self, change: Change) -> int:
        """Before each step of a reconcile. The number of the revision; 0 where it has none yet."""
        if self._attempt is None:
            return 0
        if self._came is None and not self._delta:
            self._attempt.step(change)
        return self._attempt.revision.number

    def end(self, outcome: Outcome, standing: Standing) -> int:
        """Before the outcome is reported. The number of the revision; 0 where nothing was recorded."""
        came = tuple(error.message for error in outcome.errors[-1:]) if outcome.failed else ()
        if self._attempt is not None and came != self._came and self._came != ():
            self._came = came
            of = self._used.origin if self._used and self._used.action == "return" else _origin(outcome)
            self._attempt.revision = replace(self._attempt.revision, origin=of)
            if outcome.failed:
                self._attempt.stopped(outcome.errors[-1])
            else:
                self._attempt.done(outcome, self._before, standing)
        if not outcome.failed:
            self._before = outcome.plan.topology
        return self._attempt.revision.number if self._attempt else 0


def _origin(outcome: Outcome) -> Origin | None:
    found = outcome.revision
    if found is None:
        return None
    return found.origin or Origin(commit=f"{found.commit}{'+' if found.dirty else ''}", ref=found.branch or "")
