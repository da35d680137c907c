"""The proof that a new gateway works: its operator reaches the source through it. A station of the daemon's loop.

    reconcile: the pending revision holds --> ask the source --.--> it answers: reconcile, which confirms (`judge.py`)
                                                `--> it does not: keep why, and ask again until the deadline

Only an answer to a question that began after the revision held counts. What it lacks is kept in the decision, so that
whoever gives the revision up can say it. A daemon that starts finds the revision pending, and asks again.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace

from nvi_operator.daemon.backoff import Backoff
from nvi_operator.daemon.fetcher import Reached
from nvi_operator.errors import NviError
from nvi_operator.history.decisions import DecisionsFile, PendingRevision

LONGEST_WAIT = 10.0  # seconds from a failure to the next question
_NEVER = float("inf")


class Proof:
    """`reach` asks the source, `on_reached` wakes the loop, `exclusive` is the gateway's lock. `answered`: when the
    last question began that the source answered, as a fetch is one.
    """

    def __init__(
        self,
        decisions: DecisionsFile,
        exclusive: Callable[[], AbstractContextManager[None]],
        reach: Callable[[Reached], None],
        on_reached: Callable[[], None],
        answered: Callable[[], float],
    ) -> None:
        self._decisions = decisions
        self._exclusive = exclusive
        self._reach = reach
        self._on_reached = on_reached
        self._last_answered = answered
        self._backoff = Backoff(1.0, LONGEST_WAIT)
        self._of: tuple[int, str] | None = None  # the revision that is to be proven
        self._answered = False
        self._since = _NEVER  # when it was looked at first
        self._due = _NEVER
        self._epoll = select.epoll()  # nothing to read

    def of(self, pending: PendingRevision) -> bool:
        """Did the source answer since this revision holds? It is asked from the first call on."""
        if self._of != (pending.revision, pending.digest):
            self._of, self._answered, self._due = (pending.revision, pending.digest), False, time.monotonic()
            self._since = time.monotonic()
            self._backoff.reset()
        return self._answered or self._last_answered() > self._since

    # ---------------------------------------------------------------- station

    def close(self) -> None:
        self._epoll.close()

    def fileno(self) -> int:
        return self._epoll.fileno()

    def next_due(self) -> float:
        return self._due

    def step(self) -> None:
        if self._due > time.monotonic():
            return
        self._due = _NEVER
        of = self._of
        if of is not None and self._pending() is not None:
            self._reach(lambda error: self._told(of, error))

    def _pending(self) -> PendingRevision | None:
        """The revision, as long as it is not decided."""
        with suppress(NviError):
            found = self._decisions.read().pending
            if found is not None and found.by == "proof" and (found.revision, found.digest) == self._of:
                return found
        return None

    def _told(self, of: tuple[int, str], error: NviError | None) -> None:
        pending = self._pending() if of == self._of else None
        if pending is None:
            return
        if error is None:
            self._answered = True
            self._on_reached()
            return
        self._due = time.monotonic() + self._backoff.next()
        if pending.missing != error.message:
            with suppress(NviError), self._exclusive():
                found = self._decisions.read()
                if found.pending == pending:
                    self._decisions.write(replace(found, pending=replace(pending, missing=error.message)))
