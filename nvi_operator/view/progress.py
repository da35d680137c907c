"""What a command is busy with, on a terminal, once that takes long enough for anybody to wonder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS = 1.0  # nothing is shown for what is done sooner


@contextmanager
def spinner(what: str) -> Iterator[None]:
    """Shows `what`, with the time that it takes, on stderr while the block runs; nothing is left of it afterwards.

    Nothing at all where stderr is no terminal: logs want results.
    """
    if not sys.stderr.isatty():
        yield
        return
    shown = _Shown(what)
    timer = Timer(SECONDS, shown.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        shown.stop()


class _Shown:
    """Started by the timer's thread, stopped by the command's, in either order."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = Lock()
        self._stopped = False
        self._progress: Progress | None = None

    def start(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        with self._lock:
            if self._stopped:
                return
            columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
            self._progress.add_task(self._what, total=None)
            self._progress.start()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._progress is not None:
                self._progress.stop()
