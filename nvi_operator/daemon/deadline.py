"""The time of a pending revision, in the daemon's loop: it wakes the loop once the revision is to be given up."""

from __future__ import annotations

import select
from collections.abc import Callable

from nvi_operator.daemon.judge import Judge


class DeadlineStation:
    """Wakes the daemon's loop when a confirmation is due. `on_due` is called again each second until it is not."""

    def __init__(self, judge: Judge, on_due: Callable[[], None], now: Callable[[], float]) -> None:
        self._judge = judge
        self._on_due = on_due
        self._now = now
        self._again = float("-inf")
        self._epoll = select.epoll()  # nothing to read

    def close(self) -> None:
        self._epoll.close()

    def fileno(self) -> int:
        return self._epoll.fileno()

    def next_due(self) -> float:
        left = self._judge.due_in()
        return float("inf") if left is None else max(self._now() + left, self._again)

    def step(self) -> None:
        if self.next_due() <= self._now():
            self._again = self._now() + 1.0
            self._on_due()
