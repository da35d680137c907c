"""Which spec is in force: the one of the directory, or the confirmed one that it has to give way to.

A new spec needs a confirmation where the policy asks for one. `in_force` decides before each reconcile; what came of
it is told by `step`, `reached` and `stopped`. The decisions are on disk: they may have been made by an earlier
daemon or by a command, and are looked at each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import ConflictError, NviError
from nvi_operator.events import revisions as events
from nvi_operator.events.event import GatewayEvent, Note
from nvi_operator.events.revisions import Confirmed, GivenUp
from nvi_operator.history.decisions import (
    Decisions,
    DecisionsFile,
    Held,
    Moment,
    PendingRevision,
    ReturnTarget,
    Suspension,
)
from nvi_operator.history.revision import Content, Origin, Standing
from nvi_operator.history.store import History, HistoryError
from nvi_operator.language.load.loader import LoadedSpec
from nvi_operator.rollout import waiter
from nvi_operator.rollout.content import NO_GATEWAY, UnreadableSpecError, content_of, loaded_from
from nvi_operator.rollout.trial import BY_CHECKS, Confirm, Trial, confirm, gave_up, hold, judge, keep, last_confirmed


@dataclass(frozen=True)
class InForce:
    """What to reconcile with. `spec` None: there is no gateway. `of` is the revision that it repeats, and `origin`
    where that came from.
    """

    spec: LoadedSpec | None
    content: Content
    action: str = "run"
    of: int | None = None
    origin: Origin | None = None


class JudgedGateway(Protocol):
    """What a judge asks of the gateway that it decides for (`service.py`)."""

    def failing_checks(self) -> Mapping[str, str]:
        """The checks that do not work with the spec in force, and why. Waits for answers."""
        ...

    def is_vacant(self) -> bool:
        """Is no gateway in the kernel? Raises NviError."""
        ...


class JudgedSource(Protocol):
    """What a judge asks of where the spec comes from."""

    def trial(self) -> Confirm | None:
        """The confirmation that it asks for where no policy does."""
        ...

    def was_reached(self) -> bool:
        """Has it answered since the daemon began?"""
        ...

    def proven(self, pending: PendingRevision) -> bool:
        """Has it answered since this revision holds?"""
        ...


class DirectorySource:
    """A directory is always within reach, so that it proves nothing."""

    def trial(self) -> None:
        return None

    def was_reached(self) -> bool:
        return True

    def proven(self, pending: PendingRevision) -> bool:
        return False


class Judge:
    """`root` is where specs are loaded from, `exclusive` the gateway's lock; `emit` gets what happens."""

    def __init__(
        self,
        decisions: DecisionsFile,
        history: History,
        root: Path,
        exclusive: Callable[[], AbstractContextManager[None]],
        emit: Callable[[GatewayEvent], None],
        policy: Confirm | None,
        now: Callable[[], Moment] = waiter.now,
        arm: Callable[[int, float], None] = waiter.arm,
        *,
        gateway: Callable[[], JudgedGateway],
        source: JudgedSource,
        has_checks: bool = False,
    ) -> None:
        """`has_checks`: the gateway has checks beside those of its specs."""
        self._gateway = gateway
        self._source = source
        self._has_checks = has_checks
        self._checked: str | None = None  # the digest of the pending content whose checks pass
        self._was_suspended = False  # at the last reconcile
        self._look_again = False  # the confirmed spec is in force by now
        self._decisions = decisions
        self._history = history
        self._root = root
        self._exclusive = exclusive
        self._emit = emit
        self._waiting: tuple[int, str] | None = None  # the pending revision at the last reconcile, and its digest
        self._policy = policy
        self._now = now
        self._arm = arm
        self._last: tuple[LoadedSpec, InForce] | None = None  # of the directory's spec
        self._back: tuple[ReturnTarget, InForce] | None = None
        self._settled: LoadedSpec | None = None  # the spec of the directory that needs no (further) confirmation
        self._trial: Trial | None = None

    # ---------------------------------------------------------------- before a reconcile

    def in_force(self, spec: LoadedSpec) -> InForce:
        """`spec` is the good one of the directory. Raises NviError."""
        found = self._read()
        self._look_again = False
        own = self._own(spec)
        if (pending := found.pending) is not None:
            if not pending.left(self._now()):
                self._trial = None
                if returned := self._way_back(pending.back):
                    return returned
                found = self._read()
            elif pending.digest == own.content.digest:
                return own
            else:
                found = self._prove_before(pending)
        if (held := found.held) is not None:
            if not held.digest:  # a rollback: what the directory holds now is not tried
                held = replace(held, digest=own.content.digest)
                with self._exclusive():
                    self._decisions.write(replace(found, held=held))
            if held.digest == own.content.digest:
                self._trial = None
                if returned := self._way_back(held.back):
                    return returned
                found = self._read()
        if spec is not self._settled:
            self._begin(spec, own, found)
        return own

    def _prove_before(self, pending: PendingRevision) -> Decisions:
        """Another spec came: what the pending one has shown until now counts, so that there is one to return to."""
        if self._waiting is not None and self._waiting[1] == pending.digest:  # it held at the last reconcile
            self._prove()
            self._tell_confirmed(pending.digest)
        return self._read()

    def _read(self) -> Decisions:
        found = self._decisions.read()
        for warning in self._decisions.warnings:
            self._emit(Note(note=warning))
        self._decisions.warnings = ()
        return found

    def _own(self, spec: LoadedSpec) -> InForce:
        if self._last is None or self._last[0] is not spec:
            self._last = spec, InForce(spec, content_of(spec, self._root))
        return self._last[1]

    def _way_back(self, back: ReturnTarget) -> InForce | None:
        """None where this version cannot read it: then nothing is pending or held any more."""
        try:
            return self._returned(back)
        except UnreadableSpecError as error:
            with self._exclusive():
                self._emit(Note(note=keep(self._decisions, self._history, error)))
            return None

    def _returned(self, back: ReturnTarget) -> InForce:
        if self._back is None or self._back[0] != back:
            spec = loaded_from(back.content, f"revision {back.revision}") if back.content.files else None
            origin = None
            with suppress(HistoryError):
                origin = found.origin if (found := self._history.revision(back.revision)) else None
            self._back = back, InForce(spec, back.content, "return", back.revision or None, origin)
        return self._back[1]

    def _begin(self, spec: LoadedSpec, own: InForce, found: Decisions) -> None:
        """A spec that is not yet confirmed. The first of all can only be given up for no gateway, which checks and
        proof do; it needs no confirmation by hand.
        """
        self._trial = None
        policy = self._policy or self._source.trial() or (BY_CHECKS if self._has_checks or spec.spec.checks else None)
        if policy is None:
            return
        back = found.pending.back if found.pending else None
        try:
            back = back or last_confirmed(self._history)
        except HistoryError as error:
            self._emit(Note(note=f"{error.message}: {spec.name} is applied without confirmation"))
        else:
            if back is None and policy.by != "hand" and self._is_first():
                back = ReturnTarget(0, NO_GATEWAY)
        if back is not None and back.content != own.content:
            self._trial = Trial(
                self._decisions,
                policy,
                own.content,
                back,
                now=self._now,
                arm=self._arm,
                failing=lambda: self._gateway().failing_checks(),
            )

    def _is_first(self) -> bool:
        """May a spec be given up for no gateway? Raises NviError. What could not be reached before proves nothing."""
        return self._source.was_reached() and not self._history.was_damaged and self._gateway().is_vacant()

    def is_new(self, used: InForce) -> bool:
        """Is it a spec that never held, as far as is known?"""
        if used.action != "run" or used.spec is self._settled:
            return False
        pending = self._decisions.read().pending
        if pending is not None and pending.digest == used.content.digest:
            return False
        with suppress(HistoryError):
            back = last_confirmed(self._history)
            return back is None or back.content != used.content
        return True

    # ---------------------------------------------------------------- during and after it

    def hold(self, used: InForce, revision: int, why: str) -> None:
        """The spec is refused, and not tried until it changes; the confirmed one is kept, where there is one."""
        with suppress(HistoryError, UnreadableSpecError), self._exclusive():
            found = self._read()
            back = found.pending.back if found.pending else last_confirmed(self._history)
            if back is not None and back.content.files:
                self._returned(back)  # what cannot be read is not held to
                hold(self._decisions, self._history, Held(revision, used.content.digest, back, why))
                self._emit(GivenUp(attempt=revision, why=why, back=back.revision))
                self._look_again = True

    @property
    def on_trial(self) -> bool:
        """Does the spec in force need a confirmation, as far as it changes anything?"""
        return self._trial is not None

    def step(self, revision: int) -> None:
        """Before each step. Raises KernelError where the decision cannot be written."""
        if self._trial is not None:
            self._trial.step(revision)

    def stopped(self, error: NviError) -> None:
        if self._trial is not None:
            self._trial.failed(error)

    def reached(self, used: InForce, record: Callable[[Standing], int]) -> None:
        """The kernel holds it. `record` puts that into the history, and returns the number of the revision."""
        found = self._decisions.read()
        if used.action == "return":
            record(Standing.CONFIRMED)
            self._waiting = None
            if found.pending is not None:
                self._given_up(found.pending)
            return
        self._settled = used.spec
        if self._trial is not None and self._trial.pending is not None:
            self._waits(self._trial, record)
        elif found.pending is not None and found.pending.digest == used.content.digest:
            record(Standing.PENDING)
        else:
            record(Standing.CONFIRMED)
            if found.pending or found.held:
                with self._exclusive():
                    self._decisions.write(self._decisions.read().settled())
            elif self._waiting is None:
                return
        self._prove()
        self._tell_confirmed(used.content.digest)

    def _given_up(self, pending: PendingRevision) -> None:
        with self._exclusive():
            if self._decisions.read().pending != pending:
                return
            why = gave_up(self._decisions, self._history, self._now())
        self._emit(GivenUp(attempt=pending.revision, why=why, back=pending.back.revision))

    def _waits(self, trial: Trial, record: Callable[[Standing], int]) -> None:
        """From now on. It may have been confirmed as soon as it was begun."""
        with self._exclusive():
            if self._decisions.read().pending != trial.pending:
                record(Standing.CONFIRMED)
                self._trial = None
                return
            trial.done(record(Standing.PENDING))
            why, pending = trial.judge(), trial.pending
            assert pending is not None
            self._trial = None
            for text in trial.unproven:
                self._emit(Note(note=text))
            if why:
                return  # the loop finds it overdue
            if pending.by == "checks":
                confirm(self._decisions, self._history, "checks", self._now())
                return
        self._checked = pending.digest
        back = pending.back.revision
        self._emit(events.Pending(attempt=pending.revision, by=pending.by, within=pending.seconds, back=back))

    def _tell_confirmed(self, digest: str) -> None:
        """A command may have done it. `digest` is that of what is in force."""
        before, pending = self._waiting, self._decisions.read().pending
        self._waiting = (pending.revision, pending.digest) if pending else None
        if before is not None and pending is None and before[1] == digest:
            with suppress(HistoryError):
                found = self._history.revision(before[0])
                by = found.confirmed_by if found else ""
                self._emit(Confirmed(attempt=before[0], by=by or "an unknown user"))

    def _prove(self) -> None:
        """A revision with this proof is confirmed once the source answers and the checks pass."""
        pending = self._decisions.read().pending
        if (
            pending is None
            or pending.by != "proof"
            or not pending.left(self._now())
            or not self._source.proven(pending)
        ):
            return
        failing = {} if self._checked == pending.digest else self._gateway().failing_checks()
        with self._exclusive(), suppress(ConflictError):  # where its time ended meanwhile
            if judge(self._decisions, pending, failing):
                return  # the loop finds it overdue
            confirm(self._decisions, self._history, "proof", self._now())

    def suspended(self, used: InForce) -> Suspension | None:
        """Is nothing to be changed now? A return that is due is not suspended: the way back in may depend on it."""
        found = self._decisions.read()
        suspension = found.suspended(self._now(), time.time()) if found.suspension else None
        self._was_suspended = suspension is not None
        return None if used.action == "return" and found.pending is not None else suspension

    # ---------------------------------------------------------------- time

    def due_in(self) -> float | None:
        """Seconds until a pending revision is given up, or a suspension ends; None: neither. Takes microseconds."""
        times = [0.0] if self._look_again else []
        with suppress(NviError):
            found = self._decisions.read()
            if found.pending is not None:
                times.append(found.pending.left(self._now()))
            if found.suspension is not None and self._was_suspended:
                left = found.suspension.left(self._now(), time.time())
                times += [] if left is None else [left]
        return min(times, default=None)
