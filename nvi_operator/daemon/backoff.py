"""How long to wait before the next attempt. Pure, but for the random numbers."""

from __future__ import annotations

from collections.abc import Callable
from random import random as uniform

TRANSIENT = 0.05  # seconds until the first retry of what another process may have caused


class Backoff:
    """1, 2, 4 ... 60 seconds; what may pass at once begins with 50 ms: 0.05, 0.1, 0.2 ... 60.

    Jitter takes up to half away: a fleet must not retry in step.
    """

    def __init__(self, first: float = 1.0, cap: float = 60.0, random: Callable[[], float] = uniform) -> None:
        self._first = first
        self._cap = cap
        self._random = random
        self._step = 0.0

    def next(self, *, transient: bool = False) -> float:
        """Seconds to wait now; longer with every call."""
        first = TRANSIENT if transient else self._first
        step = max(first, self._step)
        self._step = min(step * 2, self._cap)
        return max(first, step * (1 - self._random() / 2))

    def reset(self) -> None:
        """It worked: start from the beginning."""
        self._step = 0.0
