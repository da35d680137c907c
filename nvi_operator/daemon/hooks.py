"""Programs and web addresses that are told of events. The daemon's loop never waits for one of them.

A program is a child process: the event is JSON on its standard input, and in its environment
(docs/how-to/monitoring.md). A web address is posted to by a child as well (`webhook.py`). A hook gets one event at a
time, in their order, with TIME_LIMIT seconds for each of ATTEMPTS. Further events wait in a queue; when it is full,
the oldest are dropped and counted. Of what it prints the first lines are logged when it has ended.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from urllib.parse import urlsplit

from nvi_operator import __version__
from nvi_operator.daemon.backoff import Backoff
from nvi_operator.daemon.child import Child
from nvi_operator.daemon.journal import environment
from nvi_operator.dataclass import dataclass
from nvi_operator.errors import printable
from nvi_operator.events.event import HookFailed
from nvi_operator.events.record import EventLog, Record, line

TIME_LIMIT = 10.0  # seconds
ATTEMPTS = 5
QUEUE = 256  # events
MOST_PRINTED = 65536  # bytes
SHOWN = 20  # lines of that
_LONGEST = 300  # characters of a line
_SUBREAPER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("subreaper.py")))
_WEBHOOK = (sys.executable, "-I", str(Path(__file__).with_name("webhook.py")), __version__)


@dataclass(frozen=True)
class EventHook:
    """`target` is an absolute path, or an http or https address. `kinds`: of events; None: all."""

    target: str
    kinds: frozenset[str] | None = None

    @property
    def is_web(self) -> bool:
        return "://" in self.target

    @property
    def name(self) -> str:
        """The target without what an address may hold of passwords and tokens."""
        return f"{urlsplit(self.target).scheme}://{urlsplit(self.target).hostname}" if self.is_web else self.target

    def asks_for(self, record: Record) -> bool:
        return self.kinds is None or record.event.kind in self.kinds


@dataclass
class _Queue:
    """What one hook has to do, and the child that is doing it."""

    hook: EventHook
    backoff: Backoff
    records: deque[Record] = field(default_factory=deque)
    dropped: int = 0
    attempts: int = 0  # at the first record
    child: Child | None = None
    due: float = 0.0  # the next attempt, or the end of the child's time


class Hooks:
    """A station of the daemon's loop (`daemon/interfaces.py`)."""

    def __init__(
        self,
        hooks: Sequence[EventHook],
        event_log: EventLog,
        time_limit: float = TIME_LIMIT,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._event_log = event_log
        self._time_limit = time_limit
        self._queues = [_Queue(hook, backoff()) for hook in hooks]
        self._epoll = select.epoll()
        if hooks:
            event_log.listeners.append(self._put)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def next_due(self) -> float:
        return min((q.due for q in self._queues if q.records or q.child), default=float("inf"))

    def step(self) -> None:
        ended = {fd for fd, _ in self._epoll.poll(0)}
        for queue in self._queues:
            if queue.child is not None:
                if queue.child.pidfd in ended:
                    self._end(queue, queue.child)
                elif queue.due <= time.monotonic():
                    queue.child.kill()
                    queue.due = float("inf")  # its end is reported, as soon as the kernel can
            if queue.child is None and queue.records and queue.due <= time.monotonic():
                self._begin(queue)

    def close(self) -> None:
        """Ends what runs still."""
        for queue in self._queues:
            if queue.child is not None:
                queue.child.kill()
                os.close(queue.child.pidfd)
        self._epoll.close()

    def _put(self, record: Record) -> None:
        for queue in self._queues:
            of_hooks = isinstance(record.event, HookFailed)  # telling a hook that it failed would never end
            if not of_hooks and queue.hook.asks_for(record):
                if len(queue.records) >= QUEUE:
                    del queue.records[1 if queue.child else 0]
                    queue.dropped += 1
                queue.records.append(record)

    def _begin(self, queue: _Queue) -> None:
        queue.attempts += 1
        record = queue.records[0]
        try:
            queue.child = _start(queue.hook, record)
        except (OSError, ValueError) as error:
            self._failed(queue, f"starting it: {getattr(error, 'strerror', None) or error}")
            return
        self._epoll.register(queue.child.pidfd, select.EPOLLIN)
        queue.due = time.monotonic() + self._time_limit

    def _end(self, queue: _Queue, child: Child) -> None:
        self._epoll.unregister(child.pidfd)
        code, output, errors = child.wait(leaves=True)
        queue.child = None
        printed = [printable(each)[:_LONGEST] for each in (output + errors).decode(errors="replace").splitlines()]
        for each in printed[:SHOWN]:
            print(f"hook {queue.hook.name}: {each}", file=sys.stderr, flush=True)
        if child.killed:
            self._failed(queue, f"not done within {self._time_limit:g} s")
        elif code == 0:
            self._done(queue)
        else:
            why = f"ended by signal {-code}" if code < 0 else f"exit code {code}"
            self._failed(queue, f"{why}: {printed[-1]}" if printed else why)

    def _done(self, queue: _Queue) -> None:
        queue.records.popleft()
        queue.attempts, queue.due = 0, 0.0
        queue.backoff.reset()
        if queue.dropped:
            self._report(queue, "too slow")

    def _failed(self, queue: _Queue, why: str) -> None:
        if queue.attempts < ATTEMPTS:
            queue.due = time.monotonic() + queue.backoff.next()
            return
        record = queue.records.popleft()
        queue.attempts, queue.due = 0, 0.0
        queue.backoff.reset()
        self._report(queue, f"event {record.number} ({record.event.kind}): {why}; gave up after {ATTEMPTS} attempts")

    def _report(self, queue: _Queue, why: str) -> None:
        dropped, queue.dropped = queue.dropped, 0
        self._event_log.add(HookFailed(hook=queue.hook.name, error=why, dropped=dropped))


def _start(hook: EventHook, record: Record) -> Child:
    """No shell. A web address is not among the arguments, which every user sees."""
    command = _WEBHOOK if hook.is_web else (*_SUBREAPER, hook.target)
    head = f"{hook.target}\n".encode() if hook.is_web else b""
    known = {**_inherited(os.environ), **environment(record)}
    return Child(command, known, head + line(record), most=MOST_PRINTED)


def _inherited(found: Mapping[str, str]) -> dict[str, str]:
    return {name: found[name] for name in ("PATH", "LANG", "TZ") if name in found}
