"""`nvictl nat-log`: writes a line for the beginning and the end of each translated flow.

A process of its own, so that neither a reconcile delays it nor it a reconcile. What it cannot keep up with is lost,
is counted, and stands in the log as lost. SIGHUP: open the file again, after a rotation. SIGTERM, SIGINT: write what
is there, and end.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Protocol

from nvi_operator.daemon.wakeup import Wakeup, signals
from nvi_operator.errors import CapabilityError, NviError
from nvi_operator.events.moment import iso
from nvi_operator.kernel.drivers.sysctl import read
from nvi_operator.kernel.netlink.nat_events import NatEvents
from nvi_operator.state.nat_event import NatEvent
from nvi_operator.view.nat_log import HEADER, Format, flow_line, gap_line

_REST = 0.02  # seconds between two reads of a quiet log, so that a line does not cost a wakeup each
_LAST = 1000  # reads before it ends, where flows keep coming


class NatEventSource(Protocol):
    def fileno(self) -> int: ...

    def read(self) -> tuple[list[NatEvent], int]: ...


class LogFile:
    """Appends lines to a file that only root and its group may read; `None` is standard output. Close it.

    A line that cannot be written (a full disk) is counted in `unwritten`, and the next ones are tried. Raises
    NviError where it cannot be opened at first.
    """

    def __init__(self, path: Path | None, form: Format, say: Callable[[str], None]) -> None:
        self.unwritten = 0
        self._path = path
        self._form = form
        self._say = say
        self._file: int | None = None
        self._failed = False
        self._torn = False  # is the end of the file the beginning of a line?
        try:
            self._open()
        except OSError as error:
            raise NviError(f"{path}: opening: {error.strerror}", hint="name a file that can be written") from error

    def close(self) -> None:
        if self._file is not None and self._path is not None:
            os.close(self._file)
        self._file = None

    def reopen(self) -> None:
        """The file may have been renamed. Where that fails, lines are counted as not written until it succeeds."""
        self.close()
        try:
            self._open()
        except OSError as error:
            self._fail(error)

    def write(self, lines: list[str]) -> None:
        if not lines:
            return
        if self._file is None:
            self.reopen()
        data = ("\n" * self._torn + "".join(lines)).encode()
        done = 0
        try:
            while done < len(data) and self._file is not None:
                done += os.write(self._file, data[done:])
        except OSError as error:
            self._fail(error)
        if done:
            self._torn = data[done - 1 : done] != b"\n"
        if done < len(data):
            self.unwritten += data.count(b"\n", done)
        else:
            self._failed = False

    def _open(self) -> None:
        if self._path is None:
            self._file = sys.stdout.fileno()
        else:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        if self._form == "csv" and (self._path is None or os.fstat(self._file).st_size == 0):
            os.write(self._file, HEADER.encode())

    def _fail(self, error: OSError) -> None:
        if not self._failed:
            self._say(
                f"{self._path or 'standard output'}: writing: {error.strerror}: lines are lost until it succeeds"
            )
        self._failed = True


class NatLog:
    """Follows `events` into `file` until `stop`."""

    def __init__(
        self,
        events: NatEventSource,
        file: LogFile,
        form: Format,
        say: Callable[[str], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.flows = 0
        self.lost = 0
        self._events = events
        self._file = file
        self._form = form
        self._say = say
        self._now = now
        self._reopen = self._stopping = False

    def reopen(self) -> None:
        """Reopen the file. Safe in a signal handler."""
        self._reopen = True

    def stop(self) -> None:
        self._stopping = True

    def step(self) -> bool:
        """Write what was reported. Is there more?"""
        if self._reopen:
            self._reopen = False
            self._file.reopen()
        found, lost = self._events.read()
        moment, form = self._now(), self._form
        lines = [flow_line(event, moment, form) for event in found]
        if unwritten := self._file.unwritten:
            self._file.unwritten = 0
            lost += unwritten
        if lost:
            self.lost += lost
            lines.append(gap_line("lost", moment, form, lost))
            self._say(f"{lost:,} lines lost, {self.lost:,} since the start: they came faster than they are written")
        self._file.write(lines)
        self.flows += len(found)
        return bool(found)

    def run(self, wakeup: Wakeup) -> None:
        poll = select.poll()
        for fileno in (self._events.fileno(), wakeup.fileno()):
            poll.register(fileno, select.POLLIN)
        self._file.write([gap_line("listening", self._now(), self._form)])
        while not self._stopping:
            poll.poll()
            wakeup.take()
            while self.step():
                pass
            time.sleep(_REST)
        for _ in range(_LAST):
            if not self.step():
                break
        self._file.write([gap_line("stopped", self._now(), self._form)])


def run_nat_log(path: Path | None, form: Format, room: int) -> int:
    """Logs the network namespace that this is in, with a socket's buffer of `room` bytes. Raises NviError."""

    def say(text: str) -> None:
        print(f"{iso(time.time())} nat-log: {text}", file=sys.stderr, flush=True)

    if read("net/netfilter/nf_conntrack_events") == "0":
        raise CapabilityError(
            "conntrack reports nothing: net.netfilter.nf_conntrack_events is 0",
            hint="sysctl net.netfilter.nf_conntrack_events=1",
        )
    with ExitStack() as stack:
        events = stack.enter_context(NatEvents(room))
        file = stack.enter_context(closing(LogFile(path, form, say)))
        wakeup = stack.enter_context(closing(Wakeup()))
        log = NatLog(events, file, form, say)

        def ring(then: Callable[[], None]) -> Callable[[], None]:
            def handle() -> None:
                then()
                wakeup.ring()

            return handle

        handlers = {number: ring(log.stop) for number in (signal.SIGTERM, signal.SIGINT)}
        stack.enter_context(signals({**handlers, signal.SIGHUP: ring(log.reopen)}))
        log.run(wakeup)
        say(f"{log.flows:,} lines written, {log.lost:,} lost")
    return 0
