"""A revision that holds only if it is confirmed: how it is begun, confirmed and given up.

    before the first step      the decision is written: pending, with the spec to return to; the waiter is armed
    after the last one         the deadline is set again, so that it counts from here
    confirmed in time          the decision is removed
    otherwise                  a reconcile with the spec to return to; then the decision says held

A kill between any two of these leaves a decision that whoever looks next acts upon: the daemon, the waiter, or the
next command that changes anything. All of it happens under the gateway's lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import ConflictError, KernelError, NviError
from nvi_operator.history.decisions import Decisions, DecisionsFile, Held, Moment, PendingRevision, ReturnTarget
from nvi_operator.history.revision import Content, Revision, Standing
from nvi_operator.history.store import History, HistoryError
from nvi_operator.language.model.settings import Numbers
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.rollout import waiter
from nvi_operator.rollout.audit import tell
from nvi_operator.rollout.content import UnreadableSpecError, loaded_from


@dataclass(frozen=True)
class Confirm:
    """`within` seconds; `by`: hand; proof, which the daemon finds (`daemon/proof.py`); or checks alone."""

    within: float
    by: str = "hand"


BY_CHECKS = Confirm(180.0, "checks")  # no confirmation by hand; longer than checks can take
NO_ANSWER = "the source did not answer"


class Trial:
    """One revision that is to be confirmed. `step` before each step of its reconcile, then `done` or `failed`."""

    def __init__(
        self,
        decisions: DecisionsFile,
        confirm: Confirm,
        content: Content,
        back: ReturnTarget,
        *,
        now: Callable[[], Moment] = waiter.now,
        arm: Callable[[int, float], None] = waiter.arm,
        failing: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """`failing`: the checks that do not work now, and why."""
        self._failing = failing
        self._failed_before: Mapping[str, str] = {}
        self._decisions = decisions
        self._confirm = confirm
        self._content = content
        self._back = back
        self._now = now
        self._arm = arm
        self.pending: PendingRevision | None = None  # once it has begun

    def step(self, revision: int) -> None:
        """Before each step. Raises KernelError where the decision cannot be written: nothing is changed then."""
        if self.pending is None:
            self._failed_before = self._failing()
            self._write(revision, self._content.digest)
            try:
                self._arm(revision, self._confirm.within)
            except OSError as error:
                self._decisions.write(replace(self._decisions.read(), pending=None))
                raise KernelError(
                    f"confirmation: starting what waits for it: {error.strerror or error}; nothing was changed"
                ) from error

    def done(self, revision: int) -> None:
        """It holds: the time counts from now on."""
        if self.pending is not None:
            self._write(revision, self.pending.digest)

    def judge(self) -> str:
        """After `done`: which check fails that worked before, and why; empty if none does. Such a revision is given
        up: whoever looks next returns. Without a wish for another confirmation the others confirm it.
        """
        if self.pending is None:
            return ""
        return judge(self._decisions, self.pending, self._failing())

    @property
    def unproven(self) -> tuple[str, ...]:
        """Checks that failed before the change as well: they prove nothing."""
        return tuple(f"check {name} failed before the change: {why}" for name, why in self._failed_before.items())

    def failed(self, error: NviError) -> None:
        """It was reverted, so there is nothing to confirm. Where that failed as well, the deadline remains."""
        if self.pending is not None and error.reverted:
            with suppress(KernelError):  # then it is given up in time, which changes nothing
                self._decisions.write(replace(self._decisions.read(), pending=None))

    def _write(self, revision: int, digest: str) -> None:
        now, within = self._now(), self._confirm.within
        deadline = Moment(now.boot, now.seconds + within)
        by = self._confirm.by
        missing, unproven = NO_ANSWER if by == "proof" else "", tuple(self._failed_before)
        pending = PendingRevision(
            revision, digest, self._back, deadline, within, by, missing=missing, unproven=unproven
        )
        self._decisions.write(replace(self._decisions.read(), pending=pending, held=None))
        self.pending = pending


def judge(decisions: DecisionsFile, pending: PendingRevision, failing: Mapping[str, str]) -> str:
    """Which check fails that worked before, and why; empty if none does. The revision is given up then."""
    bad = {name: why for name, why in failing.items() if name not in pending.unproven}
    if not bad:
        return ""
    why = "; ".join(f"check {name} failed: {why}" for name, why in bad.items())
    found = decisions.read()
    if found.pending == pending:
        decisions.write(replace(found, pending=replace(pending, given_up=why)))
    return why


def last_confirmed(history: History) -> ReturnTarget | None:
    """What to return to; None where no revision was ever confirmed. Raises HistoryError."""
    found = history.newest(Standing.CONFIRMED)
    return ReturnTarget(found.number, history.content(found.number)) if found else None


def compiler_of(target: ReturnTarget) -> tuple[Compiler, Numbers]:
    """The compiler of the spec to return to, or of the gateway's removal where there was none. Raises NviError."""
    if not target.content.files:
        return Compiler(target.content.gateway, None), Numbers()
    loaded = loaded_from(target.content, f"revision {target.revision}")
    return Compiler(loaded.name, loaded.spec), loaded.spec.numbers


def confirm(decisions: DecisionsFile, history: History, who: str, now: Moment) -> Revision | None:
    """Call under the lock. ConflictError where nothing is pending, or it is too late."""
    found = decisions.read()
    pending = found.pending
    if pending is None:
        hint = f"revision {found.held.revision} was given up: {found.held.why}" if found.held else ""
        raise ConflictError("confirmation: no revision is waiting for one", hint=hint)
    if not pending.left(now):
        raise ConflictError(
            f"revision {pending.revision}: {pending.why(now)}: it is given up",
            hint="apply it again; `nvictl abort` returns to the confirmed one at once",
        )
    decisions.write(found.settled())
    return _mark(history, pending.revision, standing=Standing.CONFIRMED, confirmed_by=who)


def gave_up(decisions: DecisionsFile, history: History, now: Moment) -> str:
    """The confirmed spec holds again: record that. Call under the lock. Returns why."""
    found = decisions.read()
    assert found.pending is not None
    why = found.pending.why(now)
    decisions.write(found.given_up(why))
    check = why.partition("check ")[2].partition(" failed")[0] if why.startswith("check ") else ""
    _mark(history, found.pending.revision, standing=Standing.RETURNED, error=why, check=check)
    return why


def keep(decisions: DecisionsFile, history: History, why: UnreadableSpecError) -> str:
    """Nothing is pending or held any more, because what to return to cannot be read: the gateway is to be kept.

    Call under the lock. Returns what to tell of it.
    """
    found = decisions.read()
    decisions.write(found.settled())
    what = "what was given up is tried again"
    if found.pending is not None:
        what = f"revision {found.pending.revision}: stays"
        _mark(history, found.pending.revision, standing=Standing.CONFIRMED, confirmed_by="no way back")
    return f"{what}, because there is no way back: {why.message}"


def hold(decisions: DecisionsFile, history: History, held: Held) -> None:
    """A revision was refused, and is not tried until it changes. One that is pending is given up for it.

    Call under the lock.
    """
    found = decisions.read()
    decisions.write(replace(found, pending=None, held=held))
    if found.pending is not None:
        why = f"revision {held.revision} came instead, and was refused"
        _mark(history, found.pending.revision, standing=Standing.RETURNED, error=why)


def refuse_suspended(found: Decisions) -> None:
    """ConflictError while changes are suspended."""
    if (away := found.suspended(waiter.now(), time.time())) is not None:
        raise ConflictError(
            f"gateway: changes are suspended by {away.author}: {away.reason}", hint="nvictl resume ends that"
        )


def refuse_pending(found: Decisions, now: Moment) -> None:
    """ConflictError while a revision waits for its confirmation: a second one could not be told from it."""
    if found.pending is not None and (left := found.pending.left(now)):
        raise ConflictError(
            f"revision {found.pending.revision}: waits for confirmation, {left:.0f} s left",
            hint="nvictl confirm keeps it, nvictl abort returns to the one before",
        )


def _mark(history: History, number: int, **changes: object) -> Revision | None:
    """None where it was not recorded: the decision counts."""
    with suppress(HistoryError):
        if number and (found := history.revision(number)):
            changed = replace(found, **changes)  # type: ignore[arg-type]
            history.change(changed)
            tell(history.path.parent, changed, changed.standing.value)
            return changed
    return None
