"""How other threads and signal handlers wake a loop that sleeps in select: a socket to itself."""

from __future__ import annotations

import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from nvi_operator.reconcile.outcome import Reason


class Wakeup:
    """`put` may be called from anywhere, even in a signal handler: it takes no lock and never blocks."""

    def __init__(self) -> None:
        self._reasons: deque[Reason] = deque()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        return self._reader.fileno()

    def put(self, reason: Reason) -> None:
        self._reasons.append(reason)
        self.ring()

    def ring(self) -> None:
        """Wake the loop without a reason."""
        try:
            self._writer.send(b"!")
        except OSError:
            return  # full: the loop is awake already; or closed: it has ended

    def take(self) -> set[Reason]:
        """What was put since the last call. The socket is read first, so that a later `put` rings again."""
        try:
            while self._reader.recv(4096):
                pass
        except BlockingIOError:
            pass
        found = set()
        while self._reasons:
            found.add(self._reasons.popleft())
        return found


@contextmanager
def signals(handlers: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    """Within, these functions handle these signals. Does nothing outside of the main thread, as Python has it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        handlers[signal.Signals(number)]()

    before = {number: signal.signal(number, handle) for number in handlers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
