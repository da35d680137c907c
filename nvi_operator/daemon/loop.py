"""The daemon's loop: sleeps until something happens, makes a pass, and never dies because the kernel refuses.

One thread, one selector. It knows nothing of what a pass does. A pass looks at everything for itself, so
reports may be merged, late or lost. When a pass is due is said in `schedule.py`, what it has to leave alone
in `fights.py`.

Our own changes are reported back to us. They make one more pass, which finds nothing to do, and that is it.
SIGHUP: a pass now. SIGTERM, SIGINT: stop after the pass under way; the dataplane stays as it is.
"""

from __future__ import annotations

import selectors
import signal
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from nvi_operator.daemon.backoff import Backoff
from nvi_operator.daemon.fights import Fights
from nvi_operator.daemon.interfaces import Clock, Events, Watch
from nvi_operator.daemon.schedule import Schedule
from nvi_operator.daemon.sdnotify import Notifier
from nvi_operator.daemon.trigger import PassResult, Reason, Wake
from nvi_operator.daemon.wakeup import Wakeup, signals
from nvi_operator.errors import NviError
from nvi_operator.kernel.netlink.events import Event
from nvi_operator.sources.fingerprint import Fingerprint, being_written, fingerprint
from nvi_operator.sources.watch import DirectoryWatch

PATIENCE = 10.0  # seconds without a change after which a file is read though it is open for writing
LONGEST_SAVE = 60.0  # seconds after which it is read in any case
GLANCE = 1.0  # seconds between looks at what the kernel does not report
TELL_AGAIN = 600.0  # seconds after which an error that lasts is told again


class Loop:
    """`run` it in the main thread. `wake` and `stop` may be called from anywhere.

    `report` gets what a human should know: errors, and objects that somebody fights us over. `glance` tells whether
    anything changed of which the kernel reports nothing. It is asked every second, and so must cost microseconds.
    """

    def __init__(
        self,
        pass_: Callable[[Wake], PassResult],
        *,
        directory: Path,
        events: Events,
        report: Callable[[str], None],
        glance: Callable[[], bool] = lambda: False,
        rescan_seconds: float = 60.0,
        clock: Clock | None = None,
        watch: Callable[[Path, Callable[[], None]], Watch] = DirectoryWatch,
        being_written: Callable[[Path, list[str]], list[str]] = being_written,
        notifier: Notifier | None = None,
        backoff: Backoff | None = None,
        fights: Fights | None = None,
    ) -> None:
        self._pass = pass_
        self._directory = directory
        self._events = events
        self._glance = glance
        self._report = report
        self._clock = clock or Clock()
        self._new_watch = watch
        self._being_written = being_written
        self._notifier = notifier or Notifier()
        self._fights = fights or Fights()
        self._agenda = Schedule(rescan_seconds, backoff or Backoff())
        self._inbox = Wakeup()
        self._stopping = False
        self._ready = False
        self._failing = False
        self._reports: dict[Event, None] = {}  # of the kernel, since the last pass
        self._seen: Fingerprint | None = None
        self._half_saved: tuple[Fingerprint, float, float] | None = None  # since when so, and since when at all
        self._ping = float("-inf")
        self._next_glance = float("-inf")
        self._told: dict[str, float] = {}

    def wake(self, reason: Reason = Reason.SIGNAL) -> None:
        """Make a pass now."""
        self._inbox.put(reason)

    def stop(self) -> None:
        """Return from `run` after the pass under way, if any."""
        self._stopping = True
        self._inbox.ring()

    def run(self) -> None:
        """Until SIGTERM, SIGINT or `stop`. What it raises is a bug."""
        watch = self._new_watch(self._directory, lambda: self.wake(Reason.DIRECTORY))
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGHUP: self.wake,
            signal.SIGIO: lambda: None,  # from a process that opens a file while it is asked about (SpecFiles)
        }
        try:
            with signals(handlers), selectors.DefaultSelector() as selector:
                for fileno in (self._inbox.fileno(), *self._events.filenos()):
                    selector.register(fileno, selectors.EVENT_READ)
                while not self._stopping:
                    self._clock.select(selector, max(0.0, self._next() - self._clock.now()))
                    self._collect()
                    self._alive()
                    if not self._stopping and (reasons := self._due()):
                        self._step(watch, reasons)
                self._notifier.stopping()
        finally:
            watch.close()
            self._inbox.close()

    # ---------------------------------------------------------------- waiting

    def _next(self) -> float:
        release, ping = self._fights.next_release, self._notifier.interval
        due = min(self._agenda.next(), self._next_glance)
        return min([due, *([] if release is None else [release]), *([] if ping is None else [self._ping])])

    def _due(self) -> frozenset[Reason]:
        now, release = self._clock.now(), self._fights.next_release
        over = {Reason.RELEASE} if release is not None and release <= now else set()
        return self._agenda.due(now) | over

    def _collect(self) -> None:
        now = self._clock.now()
        for reason in self._inbox.take():
            self._agenda.push(reason, now)
        for event in self._events.drain():
            self._reports[event] = None
            self._agenda.push(Reason.OVERFLOW if event.family == "overflow" else Reason.KERNEL, now)
        if self._next_glance <= now:
            self._next_glance = now + GLANCE
            if self._glance():
                self._agenda.push(Reason.KERNEL, now)

    def _alive(self) -> None:
        now, interval = self._clock.now(), self._notifier.interval
        if interval is not None and self._ping <= now:
            self._notifier.alive()
            self._ping = now + interval

    # ---------------------------------------------------------------- a pass

    def _step(self, watch: Watch, reasons: frozenset[Reason]) -> None:
        now = self._clock.now()
        try:
            watch.arm()  # before anything is read, so that what comes later is reported
        except NviError as error:
            self._tell(error, "until then: the timer")
        half_saved = False
        if Wake(reasons).reread:
            self._agenda.read(now)
            found = fingerprint(self._directory)
            half_saved = self._is_half_saved(found, now)
            if half_saved:
                self._agenda.push(Reason.DIRECTORY, now)  # to look again
                reasons -= {Reason.DIRECTORY}
                found = self._seen or found
            seen, self._seen = self._seen, found
            if not reasons:
                return
            if reasons == {Reason.DIRECTORY} and not self._failing and seen and seen.same(self._seen):
                return
            if seen != self._seen:
                self._told.clear()  # whoever saved a file wants to know what came of it
        if released := self._fights.release(now):
            self._report(f"{', '.join(sorted(released))}: no longer left alone: held by this program again")
        wake = Wake(reasons, tuple(self._reports), self._fights.held, half_saved)
        self._reports.clear()
        self._agenda.begin(now)
        self._make(wake, now)

    def _is_half_saved(self, found: Fingerprint, now: float) -> bool:
        """Is a changed file open for writing? Nothing is read then; but not for ever, and not at the start."""
        writing = self._being_written(self._directory, self._seen.changed(found)) if self._seen else []
        if not writing:
            self._half_saved = None
            return False
        last, changed, began = self._half_saved or (found, now, now)
        changed = changed if last == found else now
        if now < min(changed + PATIENCE, began + LONGEST_SAVE):
            self._half_saved = found, changed, began
            return True
        self._report(f"{', '.join(writing)}: open for writing for {now - began:.0f} s: read as it is")
        self._half_saved = None
        return False

    def _make(self, wake: Wake, began: float) -> None:
        with nullcontext() if self._ready else self._notifier.starting():
            result = self._pass(wake)
        now = self._clock.now()
        self._collect()  # what came meanwhile: mostly our own changes
        changed = bool(result.changed or result.healed)
        if result.failed:
            wait = self._agenda.failed(result.errors, now)
        else:
            wait = self._agenda.done(wake.reasons, result.errors, began, now, changed=changed)
        self._failing = bool(result.errors)
        for told in result.errors:
            self._tell(told, "next attempt: " + ("at the next change" if wait is None else f"in {wait:.2g} s"))
        if not result.errors:
            self._told.clear()
        for hold in self._fights.healed(result.healed, wake.changed_by, now):
            self._report(str(hold))
        self._say(result)

    def _tell(self, error: NviError, next_attempt: str) -> None:
        """An error that lasts is told now and then, not at each attempt."""
        text, now = str(error), self._clock.now()
        if self._told.get(text, float("-inf")) + TELL_AGAIN <= now:
            self._told[text] = now
            self._report(f"{text}\n  {next_attempt}")

    def _say(self, result: PassResult) -> None:
        status = result.errors[0].message if result.errors else result.status
        if held := self._fights.held:
            status = f"left alone: {', '.join(sorted(held))}; {status}"
        if self._ready:
            self._notifier.status(status)
        else:
            self._notifier.ready(status)
            self._ready = True
