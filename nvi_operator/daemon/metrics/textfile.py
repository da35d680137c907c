"""Metrics in a file, for node_exporter's textfile collector: replaced as a whole, every 15 s."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

EVERY = 15.0  # seconds


class Textfile:
    """A station of the daemon's loop. `failed` gets each new error; the gateway works without the file."""

    def __init__(
        self,
        path: Path,
        text: Callable[[], bytes],
        failed: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._text = text
        self._failed = failed
        self._now = now
        self._due = now()
        self._error = ""
        self._never = os.eventfd(0)  # what the loop watches: nothing comes

    def fileno(self) -> int:
        return self._never

    def next_due(self) -> float:
        return self._due

    def step(self) -> None:
        if self._now() < self._due:
            return
        self._due = self._now() + EVERY
        error = ""
        try:
            self._write(self._text())
        except OSError as found:
            error = f"metrics: {self._path}: writing: {found.strerror or found}"
        if error and error != self._error:
            self._failed(error)
        self._error = error

    def _write(self, text: bytes) -> None:
        """A scraper sees the old file or the new one."""
        scratch = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            with open(fd, "wb") as file:
                file.write(text)
            os.rename(scratch, self._path)
        except BaseException:
            with suppress(OSError):
                os.unlink(scratch)
            raise

    def close(self) -> None:
        """The file goes: what it says would be taken for the present."""
        os.close(self._never)
        with suppress(OSError):
            os.unlink(self._path)
