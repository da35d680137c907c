"""When to act on events that come in bursts. Pure: the time is always an argument, in seconds."""

from __future__ import annotations

QUIET = 0.12
CAP = 1.5


class Debounce:
    """Due when nothing came for `quiet` seconds, and at the latest `cap` seconds after the first event.

    An `eager` one is due at once when the event comes after a calm of `quiet` seconds: drift is healed
    without delay, and only what follows is gathered.
    """

    def __init__(self, quiet: float = QUIET, cap: float = CAP, *, eager: bool = False) -> None:
        self._quiet = quiet
        self._cap = cap
        self._eager = eager
        self._first: float | None = None
        self._due = 0.0
        self._not_before = float("-inf")

    @property
    def due(self) -> float | None:
        """When to act; None when there is nothing to act on."""
        return None if self._first is None else max(self._due, self._not_before)

    def push(self, now: float) -> None:
        """An event came."""
        if self._first is None:
            self._first = now
            if self._eager and now >= self._not_before:
                self._due = now
        if self._eager and self._first <= self._due <= now:
            return  # due already: what follows comes too late to put it off
        self._due = max(self._due, min(now + self._quiet, self._first + self._cap))

    def hold_off(self, until: float) -> None:
        """Be not due before `until`, whatever comes."""
        self._not_before = max(self._not_before, until)

    def clear(self, now: float) -> None:
        """What came so far has been acted on."""
        self._first = None
        self._due = 0.0
        if self._eager:
            self.hold_off(now + self._quiet)
