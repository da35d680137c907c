"""What a driver is: it observes the objects of one kind that are ours, and applies one change to one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from nvi_operator.plan.change import Change
from nvi_operator.state.host import HostState, Object


class Driver(Protocol):
    """The shell's half of a kind; `kinds/` holds the pure half.

    `observe` yields owned objects only; it may look at `desired` to know where to look (names, device),
    never to decide what is ours. `apply` raises KernelError, and leaves the object as it was when it does.
    `check` raises what `apply` would, as far as that can be known beforehand, and changes nothing.
    """

    kind: str

    def observe(self, desired: HostState) -> Iterable[Object]: ...

    def check(self, change: Change) -> None:
        return

    def apply(self, change: Change) -> None: ...
