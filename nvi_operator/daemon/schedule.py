"""When the next pass is due, and for what reasons. Pure: the time is always an argument.

start       at once
directory   when it was quiet for 120 ms (at most 1.5 s after the first change)
kernel      at once after a calm, then gathered for 20 ms; ever longer while passes find nothing to do
retry       after a pass that failed: 1 s, 2 s ... 60 s; where another process came in between, from 50 ms on
timer       a minute after the last pass
signal      at once
"""

from __future__ import annotations

from collections.abc import Collection

from nvi_operator.daemon.backoff import Backoff
from nvi_operator.daemon.debounce import Debounce
from nvi_operator.daemon.trigger import Reason
from nvi_operator.errors import NviError

KERNEL_QUIET = 0.02
KERNEL_CAP = 0.25
LONGEST_PAUSE = 1.0  # between passes that find nothing to do, while the kernel keeps reporting
AFTER_FAILURE = 1.0  # before a report of the kernel cuts the waiting for a retry short

_BURSTS = (Reason.DIRECTORY, Reason.KERNEL, Reason.OVERFLOW)


class Schedule:
    """Reasons go in by `push`; a pass takes what is due, and says afterwards how it went."""

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
        """The reasons for which a pass is due now."""
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

    # ---------------------------------------------------------------- a pass

    def read(self, now: float) -> None:
        """The directory is being looked at: what was reported of it so far is dealt with."""
        self._directory.clear(now)

    def begin(self, now: float) -> None:
        """A pass begins: it deals with everything but the directory, which may just be being saved."""
        self._at_once.clear()
        self._kernel.clear(now)
        self._overflow = False
        self._retry = None

    def failed(self, errors: Collection[NviError], now: float) -> float | None:
        """It failed altogether. Returns the seconds to the next attempt; None: when something happens.

        A failing pass changes things and puts them back; that must not be what wakes the next one at once.
        Still, someone else may have changed something meanwhile, so that another look is due.
        """
        self._end(now)
        retry = self._kernel.due is not None or any(error.retryable for error in errors)
        transient = any(error.transient for error in errors)
        wait = self._backoff.next(transient=transient) if retry else None
        if wait is not None:
            self._kernel.clear(now)
            self._retry = now + wait
        self._kernel.hold_off(now + (min(wait, AFTER_FAILURE) if wait is not None and transient else AFTER_FAILURE))
        return wait

    def done(
        self, reasons: Collection[Reason], errors: Collection[NviError], began: float, now: float, *, changed: bool
    ) -> float | None:
        """It worked, perhaps but for some `errors`. Returns the seconds to the next attempt at those."""
        in_a_row = began - self._ended <= LONGEST_PAUSE + KERNEL_CAP
        in_vain = in_a_row and not changed and all(reason in _BURSTS[1:] for reason in reasons)
        self._in_vain = self._in_vain + 1 if in_vain else 0
        self._end(now)
        self._kernel.hold_off(now + min(LONGEST_PAUSE, KERNEL_QUIET * 2.0 ** min(self._in_vain, 10)))
        if not any(error.retryable for error in errors):
            self._backoff.reset()
            return None
        wait = self._backoff.next()
        self._retry = now + wait
        return wait

    def _end(self, now: float) -> None:
        self._ended = now
        self._rescan = now + self._rescan_seconds
