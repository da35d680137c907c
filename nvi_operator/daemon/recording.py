"""What the daemon records in the history: each spec that it tries, once; and again when something else comes of it.

What it heals and what probes make it do is no revision: `nvictl events` tells of that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nvi_operator.history.revision import Origin, Revision
from nvi_operator.history.store import History
from nvi_operator.language.load.loader import LoadedSpec
from nvi_operator.plan.change import Change
from nvi_operator.reconcile.outcome import Outcome
from nvi_operator.rollout.attempt import Attempt
from nvi_operator.rollout.content import content_of
from nvi_operator.rollout.place import asked
from nvi_operator.topology.model import Topology


class Recording:
    """`root` is where specs are loaded from; `say` gets what cannot be recorded."""

    def __init__(self, history: History, root: Path, say: Callable[[str], None]) -> None:
        self._history = history
        self._root = root
        self._say = say
        self._spec: LoadedSpec | None = None
        self._attempt: Attempt | None = None  # of this spec
        self._came: tuple[str, ...] | None = None  # of it: the errors; None: nothing is recorded yet
        self._delta = False
        self._before: Topology | None = None  # the last one that held

    def begin(self, spec: LoadedSpec, *, delta: bool) -> None:
        """Before each reconcile. `delta`: the spec is an edit of the one before; that is recorded afterwards only."""
        if spec is self._spec:
            return
        content = content_of(spec, self._root)
        revision = Revision(0, time.time(), spec.name, "run", asked(f"nvictl run {self._root}"))
        self._spec, self._came, self._delta = spec, None, delta
        self._attempt = Attempt(self._history, revision, content, self._say)

    def step(self, change: Change) -> None:
        """Before each step of a reconcile."""
        if self._attempt is not None and self._came is None and not self._delta:
            self._attempt.step(change)

    def end(self, outcome: Outcome) -> None:
        """Before the outcome is reported."""
        came = tuple(error.message for error in outcome.errors[-1:]) if outcome.failed else ()
        if self._attempt is not None and came != self._came and self._came != ():
            self._came = came
            self._attempt.revision = replace(self._attempt.revision, origin=_origin(outcome))
            if outcome.failed:
                self._attempt.stopped(outcome.errors[-1])
            else:
                self._attempt.done(outcome, self._before)
        if not outcome.failed:
            self._before = outcome.plan.topology


def _origin(outcome: Outcome) -> Origin | None:
    found = outcome.revision
    return Origin(commit=f"{found.commit}{'+' if found.dirty else ''}", ref=found.branch or "") if found else None
