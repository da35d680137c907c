"""Events with their number and time, and the last of them. Pure: the time comes from a function."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.events.event import GatewayEvent, Note, event_fields
from nvi_operator.events.moment import iso

KEPT = 500  # records that a history holds


@dataclass(frozen=True)
class Record:
    """The `number`th event since the daemon began; `time` in seconds since 1970."""

    number: int
    time: float
    event: GatewayEvent

    def json(self) -> dict[str, Any]:
        """Stable for programs: docs/events.md."""
        event = self.event
        return {
            "number": self.number,
            "time": iso(self.time),
            "event": event.kind,
            "level": event.level.name.lower(),
            "gateway": event.gateway or None,
            "revision": event.revision or None,
            "summary": event.summary,
            "text": event.text,
            **event_fields(event),
        }


def line(record: Record) -> bytes:
    """A line of JSON."""
    return json.dumps(record.json(), separators=(",", ":")).encode() + b"\n"


class EventLog:
    """Numbers events, keeps the last ones, and hands each to every `listener`, which must not block."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._records: deque[Record] = deque(maxlen=KEPT)
        self._next = 1
        self.listeners: list[Callable[[Record], None]] = []

    def add(self, event: GatewayEvent) -> None:
        record = Record(self._next, self._wall(), event)
        self._next += 1
        self._records.append(record)
        for listener in self.listeners:
            listener(record)

    def note(self, text: str) -> None:
        self.add(Note(note=text))

    def last(self, count: int) -> tuple[Record, ...]:
        """The last ones, the oldest first."""
        return tuple(self._records)[-count:] if count else ()
