"""Two programs that each undo what the other did: notice it, pause the object, name the other program. Pure.

An operator that never stops fighting costs more than the drift: every round disturbs traffic and fills logs. So an
object that had to be healed `limit` times within a minute is paused: reconciles leave it as it is. It is
tried again later, and if the fight goes on, the next pause is longer.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable
from dataclasses import field

from nvi_operator.dataclass import dataclass

_WINDOW, _FIRST_WAIT, _LONGEST_WAIT = 60.0, 60.0, 3600.0  # seconds


@dataclass(frozen=True)
class Pause:
    """An object that is left alone from now on: which programs change it, and for how many seconds."""

    name: str
    heals: int
    window: float
    changed_by: tuple[str, ...]  # the most likely first; empty if the kernel did not tell
    wait: float


@dataclass
class _Record:
    heals: deque[tuple[float, tuple[str, ...]]] = field(default_factory=deque)
    wait: float = 0.0  # of the last pause, in seconds
    until: float = float("-inf")  # end of the last pause
    paused: bool = False


class Fights:
    """Counts heals by object."""

    def __init__(self, limit: int = 10) -> None:
        self._limit = limit
        self._records: dict[str, _Record] = {}

    @property
    def paused(self) -> frozenset[str]:
        """The objects to be left alone."""
        return frozenset(name for name, record in self._records.items() if record.paused)

    def pauses(self, now: float) -> dict[str, float]:
        """The paused objects, and the seconds until they are tried again."""
        return {name: max(0.0, r.until - now) for name, r in sorted(self._records.items()) if r.paused}

    @property
    def next_release(self) -> float | None:
        return min((record.until for record in self._records.values() if record.paused), default=None)

    def healed(self, names: Iterable[str], changed_by: Collection[str], now: float) -> list[Pause]:
        """These were healed. Returns those that are paused from now on."""
        self._expire(now)
        pauses = []
        for name in sorted(names):
            record = self._records.setdefault(name, _Record())
            record.heals.append((now, tuple(changed_by)))
            while record.heals[0][0] < now - _WINDOW:
                record.heals.popleft()
            if len(record.heals) >= self._limit and not record.paused:
                pauses.append(self._pause(name, record, now))
        return pauses

    def release(self, now: float) -> frozenset[str]:
        """End the pauses that are over; returns their objects."""
        over = {name for name, record in self._records.items() if record.paused and record.until <= now}
        for name in over:
            self._records[name].paused = False
        return frozenset(over)

    def _pause(self, name: str, record: _Record, now: float) -> Pause:
        record.wait = min(max(record.wait * 2, _FIRST_WAIT), _LONGEST_WAIT)
        record.until = now + record.wait
        record.paused = True
        seen = Counter(who for _, changed_by in record.heals for who in changed_by)
        pause = Pause(name, len(record.heals), _WINDOW, tuple(w for w, _ in seen.most_common()), record.wait)
        record.heals.clear()
        return pause

    def _expire(self, now: float) -> None:
        """Drop the record of an object that was left in peace for as long as its last pause."""
        self._records = {
            name: record
            for name, record in self._records.items()
            if record.paused
            or now < record.until + max(record.wait, _WINDOW)
            or (record.heals and record.heals[-1][0] >= now - _WINDOW)
        }
