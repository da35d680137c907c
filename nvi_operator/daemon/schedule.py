"""When the next reconcile is due, and for what reasons. Pure: the time is always an argument.

start       at once
directory   when nothing changed for 120 ms (at most 1.5 s after the first change)
kernel      at once after a calm, then gathered for 20 ms; ever longer while reconciles find nothing to do
retry       after a reconcile that failed: 1 s, 2 s ... 60 s; where another process interfered, from 50 ms on
timer       a minute after the last reconcile
signal      at once
health      at once
source      at once
"""

from __future__ import annotations

from nvi_operator.daemon.backoff import Backoff
from nvi_operator.daemon.debounce import Debounce
from nvi_operator.reconcile.outcome import Outcome, Reason

KERNEL_QUIET = 0.02
KERNEL_CAP = 0.25
LONGEST_PAUSE = 1.0  # between reconciles that find nothing to do, while the kernel keeps reporting
AFTER_FAILURE = 1.0  # before a report of the kernel may cut the wait for a retry short

_BURSTS = (Reason.DIRECTORY, Reason.KERNEL, Reason.OVERFLOW)


class Schedule:
    """Reasons enter by `push`; a reconcile takes those that are due, and reports its outcome."""

    def __init__(self, rescan_seconds: float, backoff: Backoff) -> None:
        self._rescan_seconds = rescan_seconds
        self._backoff = backoff
        self._at_once = {Reason.START}
        self._directory = Debounce()
        self._kernel = Debounce(KERNEL_QUIET, KERNEL_CAP, eager=True)
        self._overflow = False
        self._retry: float | None = None
        self._rescan = float("inf")
        self._in_vain = 0
        self._ended = float("-inf")

    def push(self, reason: Reason, now: float) -> None:
        """Something happened."""
        if reason is Reason.DIRECTORY:
            self._directory.push(now)
        elif reason in _BURSTS:
            self._kernel.push(now)
            self._overflow |= reason is Reason.OVERFLOW
        else:
            self._at_once.add(reason)

    def due(self, now: float) -> frozenset[Reason]:
        """The reasons for which a reconcile is due now."""
        return self.at_once | {reason for reason, due in self._timers() if due is not None and due <= now}

    @property
    def at_once(self) -> frozenset[Reason]:
        return frozenset(self._at_once)

    def next(self) -> float:
        """When something is due if nothing else happens."""
        if self._at_once:
            return float("-inf")
        return min(due for _, due in self._timers() if due is not None)

    def _timers(self) -> tuple[tuple[Reason, float | None], ...]:
        return (
            (Reason.DIRECTORY, self._directory.due),
            (Reason.OVERFLOW if self._overflow else Reason.KERNEL, self._kernel.due),
            (Reason.RETRY, self._retry),
            (Reason.TIMER, self._rescan),
        )

    # ---------------------------------------------------------------- a reconcile

    def read(self, now: float) -> None:
        """The directory is being looked at: that answers what was reported of it so far."""
        self._directory.clear(now)

    def begin(self, now: float) -> None:
        """A reconcile begins: it answers everything but the directory, which may be in the middle of a save."""
        self._at_once.clear()
        self._kernel.clear(now)
        self._overflow = False
        self._retry = None

    def end(self, outcome: Outcome, began: float, now: float) -> float | None:
        """A reconcile ended. Returns the seconds until the next attempt at its errors; None: it takes a change."""
        self._ended, before = now, self._ended
        self._rescan = now + self._rescan_seconds
        return self._failed(outcome, now) if outcome.failed else self._done(outcome, began - before, now)

    def _failed(self, outcome: Outcome, now: float) -> float | None:
        """A failing reconcile changes things and reverts them; that must not trigger the next one at once.
        Still, another process may have changed something meanwhile, so that another look is due.
        """
        retry = self._kernel.due is not None or outcome.retryable
        wait = self._backoff.next(transient=outcome.transient) if retry else None
        if wait is not None:
            self._kernel.clear(now)
            self._retry = now + wait
        quick = wait is not None and outcome.transient
        self._kernel.hold_off(now + (min(wait or 0.0, AFTER_FAILURE) if quick else AFTER_FAILURE))
        return wait

    def _done(self, outcome: Outcome, calm: float, now: float) -> float | None:
        in_a_row = calm <= LONGEST_PAUSE + KERNEL_CAP
        in_vain = in_a_row and not outcome.plan and all(reason in _BURSTS[1:] for reason in outcome.reasons)
        self._in_vain = self._in_vain + 1 if in_vain else 0
        self._kernel.hold_off(now + min(LONGEST_PAUSE, KERNEL_QUIET * 2.0 ** min(self._in_vain, 10)))
        if not outcome.retryable:
            self._backoff.reset()
            return None
        wait = self._backoff.next()
        self._retry = now + wait
        return wait
