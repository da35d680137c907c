"""What the loop needs of the world, so that tests can give it another one."""

from __future__ import annotations

import selectors
import time
from typing import Protocol

from nvi_operator.kernel.netlink.events import Event


class KernelEventSource(Protocol):
    """`kernel/netlink/events.py` has the real one."""

    def filenos(self) -> tuple[int, ...]: ...

    def drain(self) -> list[Event]: ...


class SourceWatch(Protocol):
    """`sources/watch.py` has the real one."""

    def arm(self) -> None: ...

    def close(self) -> None: ...


class Station(Protocol):
    """What shares the loop with reconciles. It never blocks, and each step takes a few milliseconds at most.

    `fileno` is watched for something to read. `next_due` tells when `step` is to be called although there is nothing
    (infinity: never); it may be called at any time.
    """

    def fileno(self) -> int: ...

    def next_due(self) -> float: ...

    def step(self) -> None: ...


class Clock:
    """Time, and sleeping."""

    def now(self) -> float:
        return time.monotonic()

    def select(self, selector: selectors.BaseSelector, timeout: float) -> None:
        """Sleep until something can be read, for `timeout` seconds at most."""
        selector.select(timeout)
