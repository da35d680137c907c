"""Which processes are we: this one, and those that it started to work for it."""

from __future__ import annotations

import os
from collections import deque

_KEPT = 64  # what a process did may be reported after its end; numbers are used again

_workers: deque[int] = deque(maxlen=_KEPT)


def adopt(pid: int) -> None:
    """What this process does is what we do."""
    _workers.append(pid)


def is_own_process(pid: int) -> bool:
    return pid == os.getpid() or pid in _workers
