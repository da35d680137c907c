"""A simulated world for the loop: time passes only while it sleeps, events and file changes come on schedule."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nvi_operator.daemon.backoff import Backoff
from nvi_operator.daemon.fights import Fights
from nvi_operator.daemon.interfaces import Clock
from nvi_operator.daemon.loop import Loop
from nvi_operator.daemon.sdnotify import Notifier
from nvi_operator.daemon.trigger import Trigger
from nvi_operator.errors import NviError
from nvi_operator.events.event import GatewayEvent
from nvi_operator.kernel.netlink.events import Event
from nvi_operator.kinds.sysctl import Sysctl
from nvi_operator.plan.change import NO_PLAN, Action, Change, Plan
from nvi_operator.reconcile.outcome import Outcome
from nvi_operator.sources.directory import SpecDirectory
from nvi_operator.state.host import Ref

QUIET = Outcome("edge", requested=False)  # nothing to change, and nothing to say


def changed(path: str) -> Plan:
    """A plan that changes one setting."""
    return replace(NO_PLAN, steps=(Change(Ref("sysctl", path), Action.CREATE, None, Sysctl(path, "1")),))


HEALED = Outcome("edge", plan=changed("x"), requested=False)


class FakeClock(Clock):
    """Sleeping takes no time; `at` makes things happen while the loop sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0
        self._plans: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self.time

    def at(self, after: float, action: Callable[[], None]) -> None:
        """Do it so many seconds from now."""
        self._plans.append((self.time + after, action))
        self._plans.sort(key=lambda plan: plan[0])

    def select(self, selector: selectors.BaseSelector, timeout: float) -> None:
        if selector.select(0):
            return
        end = self.time + timeout
        if self._plans and self._plans[0][0] <= end:
            moment, action = self._plans.pop(0)
            self.time = max(self.time, moment)
            action()
            return
        assert end < float("inf"), "the loop would sleep for ever"
        self.time = end


class FakeEvents:
    """A pipe, so that the selector has something real."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._pending: list[Event] = []

    def happen(self, *events: Event) -> None:
        self._pending += events or (Event("rule", 7, "evil"),)
        os.write(self._writer, b"!")

    def filenos(self) -> tuple[int, ...]:
        return (self._reader,)

    def drain(self) -> list[Event]:
        if self._pending:
            os.read(self._reader, 1 << 16)
        found, self._pending = self._pending, []
        return found

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


class FakeWatch:
    def __init__(self) -> None:
        self.armed = 0
        self.closed = False
        self.error: NviError | None = None

    def arm(self) -> None:
        self.armed += 1
        if self.error:
            raise self.error

    def close(self) -> None:
        self.closed = True


class FakeNotifier(Notifier):
    def __init__(self, interval: float | None = None) -> None:
        super().__init__({})
        self.interval = interval
        self.sent: list[str] = []

    def _send(self, *lines: str) -> None:
        self.sent += lines


def failed(error: NviError) -> Outcome:
    """Raised by a reconcile that was stopped."""
    return Outcome(errors=(error,), failed=True)


class World:
    """`answers` are the outcomes of the reconciles in their order; after the last, everything stays in sync."""

    def __init__(self, directory: Path, *, interval: float | None = None) -> None:
        self.clock = FakeClock()
        self.events = FakeEvents()
        self.watch = FakeWatch()
        self.notifier = FakeNotifier(interval)
        self.answers: list[Outcome | NviError | Callable[[Trigger], Outcome]] = []
        self.triggers: list[tuple[float, Trigger]] = []
        self.happened: list[GatewayEvent] = []
        self.open_files: set[str] = set()  # names of files that another process has open for writing
        self.unreported: list[bool] = []  # what the next looks at unreported changes find
        self.file_changed: Callable[[], None] = lambda: None
        self.loop = Loop(
            self._reconcile,
            directory=SpecDirectory(
                directory,
                being_written=lambda root, names: [name for name in names if Path(name).name in self.open_files],
            ),
            events=self.events,
            emit=self.happened.append,
            glance=lambda: bool(self.unreported) and self.unreported.pop(),
            clock=self.clock,
            watch=self._watch,
            notifier=self.notifier,
            backoff=Backoff(random=lambda: 0.0),
            fights=Fights(),
        )

    def run(self, seconds: float) -> None:
        """Run for so many seconds."""
        self.clock.at(seconds, self.loop.stop)
        self.loop.run()

    @property
    def log(self) -> list[str]:
        return [event.text for event in self.happened]

    @property
    def moments(self) -> list[float]:
        """When it reconciled, in seconds since the start."""
        return [round(moment - 1000.0, 3) for moment, _ in self.triggers]

    @property
    def reasons(self) -> list[str]:
        return ["+".join(sorted(trigger.reasons)) for _, trigger in self.triggers]

    def _watch(self, _directory: Path, changed: Callable[[], None]) -> FakeWatch:
        self.file_changed = changed
        return self.watch

    def _reconcile(self, trigger: Trigger) -> Outcome:
        self.triggers.append((self.clock.time, trigger))
        answer = self.answers.pop(0) if self.answers else Outcome("edge", requested=False)
        if isinstance(answer, NviError):
            answer = failed(answer)
        outcome = answer if isinstance(answer, Outcome) else answer(trigger)
        return replace(outcome, reasons=trigger.reasons, changed_by=trigger.changed_by)
