"""Who keeps the gateway of this network namespace: at most one `nvictl run`. Two would heal each other's work.

A lock on a file in /run, which ends with the process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nvi_operator.errors import ConflictError
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.lent import RUN
from nvi_operator.kernel.netns import cookie


@contextmanager
def keeping(what: Path, run: Path = RUN) -> Iterator[None]:
    """Within, this process is the keeper, by the spec in `what`. Raises ConflictError if another is."""
    path = _file(run)
    with kernel_errors(f"{path}: locking"):
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = path.open("a+", encoding="utf-8")
    with lock:
        if not _lock(lock.fileno(), fcntl.LOCK_EX):
            raise ConflictError(
                f"gateway: wanted to keep it: nvictl run {_said(path)} does so already",
                hint="stop that one first; two would undo each other's changes",
            )
        lock.truncate(0)
        lock.write(f"{os.path.abspath(what)} (pid {os.getpid()})")
        lock.flush()
        yield


def keeper(run: Path = RUN) -> str | None:
    """What keeps it now: a directory and a process. None if nobody does, or that cannot be known."""
    path = _file(run)
    try:
        with path.open(encoding="utf-8") as lock:
            return None if _lock(lock.fileno(), fcntl.LOCK_SH) else _said(path)
    except OSError:
        return None


def _file(run: Path) -> Path:
    return run / f"run-{cookie()}.lock"


def _lock(fileno: int, kind: int) -> bool:
    try:
        fcntl.flock(fileno, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _said(path: Path) -> str:
    return path.read_text(encoding="utf-8")
