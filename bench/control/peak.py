"""Peak memory, in KiB: of this process, of its children, of somebody else's.

VmHWM, not ru_maxrss, where a process still lives: the latter is also what the parent had at the fork.
"""

from __future__ import annotations

import os
import re
import resource
from contextlib import suppress
from pathlib import Path


def reset() -> None:
    """What this process needed up to now does not count; what it holds does."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def of_tree(pid: int | None = None) -> int:
    """Of a process and all that live below it, added up: their peaks need not have been at one time."""
    root = pid or os.getpid()
    total = 0
    with suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{root}/status").read_text(encoding="ascii"), re.M)
        total = int(found[1]) if found else 0
        for task in Path(f"/proc/{root}/task").iterdir():
            total += sum(map(of_tree, map(int, (task / "children").read_text(encoding="ascii").split())))
    return total


def of_commands() -> int:
    """Of the largest command that was waited for; at least what this process had when it started it."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
