"""Namespaces of laboratories by name: which exist, which process made them, and how they are removed.

A name is `nvi<pid>.<number>-<host>`. What lives in a namespace keeps it alive without a name, so
processes there are ended before the name is removed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "nvi"
RUN = Path("/run/netns")
GRACE = 1.0  # seconds from SIGTERM to SIGKILL
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def namespaces(prefix: str = "") -> list[str]:
    """Names that begin with `prefix`."""
    return sorted(entry.name for entry in RUN.glob(f"{prefix}*")) if RUN.is_dir() else []


def stale(prefix: str = PREFIX) -> list[str]:
    """Namespaces of laboratories whose process has ended."""
    found = ((name, re.match(PREFIX + r"(\d+)\.\d+-", name)) for name in namespaces(prefix))
    return [name for name, match in found if match and not Path("/proc", match[1]).exists()]


def processes(names: Iterable[str]) -> list[int]:
    """Processes in these namespaces, except this one (its threads are in them, its main thread is not)."""
    inodes = set()
    for name in names:
        with suppress(FileNotFoundError):
            inodes.add((RUN / name).stat().st_ino)
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if (entry / "ns/net").stat().st_ino in inodes:
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def remove(names: list[str]) -> None:
    """End what runs in these namespaces, and delete them. AssertionError for what remains."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes(names):
            with suppress(ProcessLookupError):
                os.kill(pid, sent)
        deadline = time.monotonic() + GRACE
        while (left := processes(names)) and time.monotonic() < deadline:
            time.sleep(0.01)
        if not left:
            break
    # A process group of its own: Ctrl-C at the terminal does not reach it.
    lines = "".join(f"netns del {name}\n" for name in names)
    subprocess.run(
        ["ip", "-force", "-batch", "-"], input=lines, text=True, check=False, capture_output=True, process_group=0
    )
    remaining = [name for name in names if (RUN / name).exists()]
    assert not remaining, f"namespaces that could not be removed: {', '.join(remaining)}"


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that would interrupt what is within are delivered after it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []
    before = {number: signal.signal(number, lambda sent, _: pending.append(sent)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for sent in pending:
            signal.raise_signal(sent)
