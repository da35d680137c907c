"""What processes use: their peak memory in KiB, and their time on a CPU in seconds."""

from __future__ import annotations

import itertools
import os
import re
import resource
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")


def reset_peak() -> None:
    """What this process needed up to now does not count; what it holds does."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak(pid: int | None = None) -> int:
    """Peak of a process (this one) and its living children, added up, though their peaks may be at different times.

    VmHWM, not ru_maxrss, which is also what the parent had at the fork.
    """
    total = 0
    for process in _tree(pid or os.getpid()):
        with suppress(OSError):
            found = re.search(r"^VmHWM:\s+(\d+) kB", (process / "status").read_text(encoding="ascii"), re.M)
            total += int(found[1]) if found else 0
    return total


def peak_of_commands() -> int:
    """Peak of the largest command that was waited for; at least what this process had when it started it."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def cpu(pid: int | None = None) -> float:
    """CPU time of a process (this one), its living children, and those that it waited for.

    Of another process the last are counted in ticks of 10 ms.
    """
    if pid is not None:
        return sum(map(_cpu_of_another, _tree(pid)))
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    below = sum(map(_cpu_of_another, itertools.islice(_tree(os.getpid()), 1, None)))
    return time.process_time() + ended.ru_utime + ended.ru_stime + below


def _cpu_of_another(process: Path) -> float:
    """schedstat: as of when it last slept, which it does when it has done what it was asked for."""
    total = 0.0
    with suppress(OSError):
        for task in (process / "task").iterdir():
            total += int((task / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
        fields = (process / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        total += sum(map(int, fields[13:15])) * _TICK  # cutime, cstime
    return total


def _tree(root: int) -> Iterator[Path]:
    """The directories in /proc of a process and its living children."""
    process = Path(f"/proc/{root}")
    yield process
    with suppress(OSError):
        for task in (process / "task").iterdir():
            for child in (task / "children").read_text(encoding="ascii").split():
                yield from _tree(int(child))
