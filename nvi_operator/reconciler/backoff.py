"""How long to wait before the next attempt. Pure, but for the dice."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """1, 2, 4 ... 60 seconds. Jitter takes up to half away: a fleet must not retry in step."""

    def __init__(self, first: float = 1.0, cap: float = 60.0, dice: Callable[[], float] = random.random) -> None:
        self._first = first
        self._cap = cap
        self._dice = dice
        self._step = first

    def next(self) -> float:
        """Seconds to wait now; longer with every call."""
        step = self._step
        self._step = min(step * 2, self._cap)
        return max(self._first, step * (1 - self._dice() / 2))

    def reset(self) -> None:
        """It worked: start anew."""
        self._step = self._first
