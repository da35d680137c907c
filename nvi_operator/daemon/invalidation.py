"""Tells the flow cache within milliseconds that something changed: its flows are then confirmed again.

A thread, because a reconcile may take seconds. What the operator itself changes is none of it: each step of an apply
tells the cache (`Kernel.apply`). Without this thread, as after `nvictl apply`, a flow is confirmed at the end of its
interval.

To confirm a flow takes one packet of each direction the slow way, so that a neighbour that changes a set or a route
all the time would take the use out of the cache. Such changes have a `Budget`; rules, links and neighbours have none.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

from nvi_operator.errors import NviError
from nvi_operator.kernel.netlink.flow_changes import FlowChanges, FlowReports

PAUSE_PER_ENTRY = 100e-6  # seconds: a packet of the slow path takes some 5 microseconds more, and may take a 20th
SHORTEST_PAUSE = 0.05  # seconds
LONGEST_PAUSE = 1.0  # seconds: no longer than a flow is unconfirmed without this
_COUNTED_FOR = 5.0  # seconds


class Cache(Protocol):
    """`kernel/bpf/generations.py` has the real one."""

    def interfaces_changed(self, ifindexes: set[int] | None = None) -> None: ...

    def count(self) -> int:
        """Entries, roughly."""
        ...


class Budget:
    """When a change of the frequent sort is passed on: at once, and the next not before a pause, in which any number
    of them counts as one. Pure: the time is an argument.
    """

    def __init__(self) -> None:
        self.due: float | None = None
        self._free = float("-inf")  # when the next may be passed on

    def push(self, now: float) -> None:
        if self.due is None:
            self.due = max(now, self._free)

    def passed_on(self, now: float, entries: int) -> None:
        self.due = None
        self._free = now + min(max(entries * PAUSE_PER_ENTRY, SHORTEST_PAUSE), LONGEST_PAUSE)


class Invalidation:
    """Idle until `follow(True)`; its methods are for one other thread. Close it, or use it in `with`."""

    def __init__(self, cache: Cache, reports: Callable[[], FlowReports]) -> None:
        """`reports` subscribes, in the network namespace of the thread that calls `follow`."""
        self.notes: tuple[str, ...] = ()  # what the user should know
        self._cache = cache
        self._subscribe = reports
        self._thread: threading.Thread | None = None
        self._blockers = threading.Event()
        self._reader, self._writer = socket.socketpair()

    def __enter__(self) -> Invalidation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stop()
        self._reader.close()
        self._writer.close()

    def follow(self, asked: bool) -> None:
        """Listen while the spec asks for a cache, also while something keeps it off, which may end. What came before
        the first report counts as a change.
        """
        if not asked:
            self._stop()
        elif self._thread is None:
            try:
                reports = self._subscribe()
            except NviError as error:
                self.notes = (f"flow cache: it is told of no changes: {error.message}",)
                return
            self.notes = ()
            self._cache.interfaces_changed()
            self._thread = threading.Thread(target=self._run, args=(reports,), name="flow cache", daemon=True)
            self._thread.start()

    def take_blockers(self) -> bool:
        """Did anything change, since this was asked last, that may keep flows from being cached?"""
        if not self._blockers.is_set():
            return False
        self._blockers.clear()
        return True

    def _stop(self) -> None:
        if self._thread is not None:
            self._writer.send(b"!")
            self._thread.join()
            self._thread = None

    def _run(self, reports: FlowReports) -> None:
        budget, counted, entries = Budget(), float("-inf"), 0
        with ExitStack() as stack:
            stack.enter_context(reports)
            selector = stack.enter_context(selectors.DefaultSelector())
            selector.register(self._reader, selectors.EVENT_READ)
            for fileno in reports.filenos():
                selector.register(fileno, selectors.EVENT_READ)
            while True:
                wait = None if budget.due is None else max(0.0, budget.due - time.monotonic())
                if any(key.fileobj is self._reader for key, _ in selector.select(wait)):
                    self._reader.recv(1)
                    return
                now = time.monotonic()
                self._pass_on(reports.read(), budget, now)
                if budget.due is not None and budget.due <= now:
                    self._cache.interfaces_changed()
                    if now - counted > _COUNTED_FOR:
                        counted, entries = now, self._cache.count()
                    budget.passed_on(now, entries)

    def _pass_on(self, changes: FlowChanges, budget: Budget, now: float) -> None:
        if changes.rules:
            self._cache.interfaces_changed()
        elif changes.interfaces:
            self._cache.interfaces_changed(changes.interfaces)
        if changes.frequent:
            budget.push(now)
        if changes.blockers:
            self._blockers.set()
