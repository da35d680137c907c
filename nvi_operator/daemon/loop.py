"""The daemon's loop: sleeps until something happens, reconciles, and never dies because the kernel refuses.

One thread, one selector. It does not know what a reconcile does. A reconcile looks at everything for itself, so
reports may be merged, late or lost. `schedule.py` says when one is due, `fights.py` what it has to leave alone.

The kernel reports the daemon's own changes as well. They cause one more reconcile, which finds nothing to do.
SIGHUP: reconcile now. SIGTERM, SIGINT: stop after the current reconcile; the dataplane stays as it is.
"""

from __future__ import annotations

import selectors
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from nvi_operator.daemon import report
from nvi_operator.daemon.backoff import Backoff
from nvi_operator.daemon.fights import Fights
from nvi_operator.daemon.interfaces import Clock, KernelEventSource, SourceWatch, Station
from nvi_operator.daemon.schedule import Schedule
from nvi_operator.daemon.sdnotify import Notifier
from nvi_operator.daemon.trigger import Trigger
from nvi_operator.daemon.wakeup import Wakeup, signals
from nvi_operator.errors import NviError
from nvi_operator.events.event import GatewayEvent, Note, Resumed, Unwatched
from nvi_operator.kernel.netlink.events import Event
from nvi_operator.reconcile.outcome import Outcome, Reason
from nvi_operator.sources.directory import SpecDirectory
from nvi_operator.sources.watch import DirectoryWatch

GLANCE = 1.0  # seconds between looks at what the kernel does not report
REPEAT = 600.0  # seconds after which an error that lasts is told again


class Loop:
    """`run` it in the main thread. `trigger` and `stop` may be called from anywhere.

    `emit` gets what happens (`report.py`), and must not block. `glance` tells whether anything changed that the
    kernel does not report. It is called every second, and so must cost microseconds.
    """

    def __init__(
        self,
        reconcile: Callable[[Trigger], Outcome],
        *,
        directory: SpecDirectory,
        events: KernelEventSource,
        emit: Callable[[GatewayEvent], None],
        glance: Callable[[], bool] = lambda: False,
        kernel_lines: bool = False,
        rescan_seconds: float = 60.0,
        clock: Clock | None = None,
        watch: Callable[[Path, Callable[[], None]], SourceWatch] = DirectoryWatch,
        notifier: Notifier | None = None,
        backoff: Backoff | None = None,
        fights: Fights | None = None,
        stations: Sequence[Station] = (),
        wakeup: Wakeup | None = None,
    ) -> None:
        self._reconcile = reconcile
        self._directory = directory
        self._events = events
        self._glance = glance
        self._kernel_lines = kernel_lines  # in events
        self._emit = emit
        self._clock = clock or Clock()
        self._new_watch = watch
        self._notifier = notifier or Notifier()
        self._fights = fights or Fights()
        self._schedule = Schedule(rescan_seconds, backoff or Backoff())
        self._stations = stations
        self._wakeup = wakeup or Wakeup()
        self._stopping = False
        self._ready = False
        self._last = Outcome()  # without its plan
        self._reported: dict[Event, None] = {}  # by the kernel, since the last reconcile
        self._ping = float("-inf")
        self._next_glance = float("-inf")
        self._told: dict[str, float] = {}  # errors, and when they were told last

    def trigger(self, reason: Reason = Reason.SIGNAL) -> None:
        """Reconcile now."""
        self._wakeup.put(reason)

    def stop(self) -> None:
        """Return from `run` after the current reconcile, if any."""
        self._stopping = True
        self._wakeup.ring()

    @property
    def last(self) -> Outcome:
        """The outcome of the last reconcile, without its plan."""
        return self._last

    @property
    def paused(self) -> dict[str, float]:
        """Objects that are left alone, and for how many seconds yet."""
        return self._fights.pauses(self._clock.now())

    def run(self) -> None:
        """Until SIGTERM, SIGINT or `stop`. What it raises is a bug."""
        watch = self._new_watch(self._directory.path, lambda: self.trigger(Reason.DIRECTORY))
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGHUP: self.trigger,
            signal.SIGIO: lambda: None,  # from a process that opens a file while it is asked about (SpecFiles)
        }
        try:
            with signals(handlers), selectors.DefaultSelector() as selector:
                stations = (station.fileno() for station in self._stations)
                for fileno in (self._wakeup.fileno(), *self._events.filenos(), *stations):
                    selector.register(fileno, selectors.EVENT_READ)
                while not self._stopping:
                    self._clock.select(selector, max(0.0, self._next() - self._clock.now()))
                    self._collect()
                    self._alive()
                    for station in self._stations:
                        station.step()
                    if not self._stopping and (reasons := self._due()):
                        self._step(watch, reasons)
                self._notifier.stopping()
        finally:
            watch.close()
            self._wakeup.close()

    # ---------------------------------------------------------------- waiting

    def _next(self) -> float:
        release, ping = self._fights.next_release, self._notifier.interval
        stations = (station.next_due() for station in self._stations)
        due = min(self._schedule.next(), self._next_glance, *stations)
        return min([due, *([] if release is None else [release]), *([] if ping is None else [self._ping])])

    def _due(self) -> frozenset[Reason]:
        now, release = self._clock.now(), self._fights.next_release
        over = {Reason.RELEASE} if release is not None and release <= now else set()
        return self._schedule.due(now) | over

    def _collect(self) -> None:
        now = self._clock.now()
        for reason in self._wakeup.take():
            self._schedule.push(reason, now)
        for event in self._events.drain():
            self._reported[event] = None
            self._schedule.push(Reason.OVERFLOW if event.kind == "overflow" else Reason.KERNEL, now)
        if self._next_glance <= now:
            self._next_glance = now + GLANCE
            if self._glance():
                self._schedule.push(Reason.KERNEL, now)

    def _alive(self) -> None:
        now, interval = self._clock.now(), self._notifier.interval
        if interval is not None and self._ping <= now:
            self._notifier.alive()
            self._ping = now + interval

    # ---------------------------------------------------------------- a reconcile

    def _step(self, watch: SourceWatch, reasons: frozenset[Reason]) -> None:
        now = self._clock.now()
        try:
            watch.arm()  # before anything is read, so that a later change is reported
        except NviError as error:
            self._emit_now_and_then(str(error), Unwatched(error=str(error), gateway=self._last.gateway))
        pending = False
        if Trigger(reasons).reread:
            self._schedule.read(now)
            look = self._directory.look(now)
            pending = look.pending
            if look.note:
                self._emit(Note(note=look.note))
            if pending:
                self._schedule.push(Reason.DIRECTORY, now)  # to look again
                reasons -= {Reason.DIRECTORY}
            if not reasons:
                return
            if reasons == {Reason.DIRECTORY} and look.untouched and not self._last.errors:
                return
            if look.changed:
                self._told.clear()  # the user who saved a file expects an answer
        if released := self._fights.release(now):
            self._emit(Resumed(objects=tuple(sorted(released)), gateway=self._last.gateway))
        trigger = Trigger(reasons, tuple(self._reported), self._fights.paused, pending)
        self._reported.clear()
        self._schedule.begin(now)
        self._run(trigger, now)

    def _run(self, trigger: Trigger, began: float) -> None:
        with self._notifier.reconciling(started=self._ready):
            outcome = self._reconcile(trigger)
        now = self._clock.now()
        self._collect()  # reports that came meanwhile: mostly of its own changes
        wait = self._schedule.end(outcome, began, now)
        for event in report.events_of(outcome, self._last, kernel=self._kernel_lines):
            self._emit(event)
        for error in outcome.errors:
            self._emit_now_and_then(str(error), report.error_event(error, outcome, wait))
        if not outcome.errors:
            self._told.clear()
        for pause in self._fights.healed(outcome.healed, outcome.changed_by, now):
            self._emit(report.pause_event(pause, outcome))
        self._last = outcome.remembered(self._last)
        self._notify(report.status_line(outcome, self._fights.paused))

    def _emit_now_and_then(self, error: str, event: GatewayEvent) -> None:
        """An error that lasts is told now and then, not at each attempt."""
        now = self._clock.now()
        if self._told.get(error, float("-inf")) + REPEAT <= now:
            self._told[error] = now
            self._emit(event)

    def _notify(self, status: str) -> None:
        if self._ready:
            self._notifier.status(status)
        else:
            self._notifier.ready(status)
            self._ready = True
