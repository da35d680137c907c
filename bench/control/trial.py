"""One measurement, in a process and a network namespace of its own:

    ip netns exec NAMESPACE python -m bench.control.trial JOB SIZE FILES TIMES BOUND

A job is `module:function` of this package: a context manager that gets everything ready and gives a `Meter`. Only
its module is imported here, so that a process that does nothing but start a command stays small.
"""

from __future__ import annotations

import gc
import importlib
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.control import usage


@dataclass(frozen=True)
class Given:
    """How many entries, and the directory that `files.write` wrote of them."""

    size: int
    files: Path


@dataclass(frozen=True)
class Meter:
    """`run` does the work once and returns the seconds; `peak` says the KiB that it took to do it. It is asked last.

    `prepare` comes before each time, and does not count. `cpu` is a clock of the CPU time of whoever does the work.
    """

    run: Callable[[], float]
    peak: Callable[[], int] = usage.peak
    cpu: Callable[[], float] = usage.cpu
    prepare: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Outcome:
    """`seconds` of each time that the work was done; none if one of them exceeded the bound. `cpu` is of all."""

    seconds: tuple[float, ...]
    cpu: float
    kib: int


Job = Callable[[Given], AbstractContextManager[Meter]]


def timed(work: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return run


def find(job: str) -> Job:
    module, _, function = job.partition(":")
    found: Job = getattr(importlib.import_module(f"bench.control.{module}"), function)
    return found


def measure(job: str, given: Given, times: int, bound: float) -> Outcome:
    with find(job)(given) as meter:
        seconds: list[float] = []
        cpu = 0.0
        gc.collect()
        gc.disable()  # for all contestants, as nvictl's commands do it
        usage.reset_peak()
        try:
            for _ in range(times):
                meter.prepare()
                before = meter.cpu()
                seconds.append(_bounded(meter.run, bound))
                cpu += meter.cpu() - before
        except TimeoutError:
            seconds.clear()
        return Outcome(tuple(seconds), cpu, meter.peak())


def _bounded(run: Callable[[], float], bound: float) -> float:
    def too_long(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, bound)
    try:
        return run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main(argv: Sequence[str]) -> int:
    job, size, files, times, bound = argv
    outcome = measure(job, Given(int(size), Path(files)), int(times), float(bound))
    print(json.dumps(asdict(outcome)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
