"""What a driver is: the half of a kind that touches the kernel. `kinds/` has the pure half."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal, Protocol, Self

from nvi_operator.kernel.handles import Handles
from nvi_operator.plan.change import Change
from nvi_operator.state.flow import Flow
from nvi_operator.state.host import HostState, Object


class Watch(Protocol):
    """Objects whose changes the kernel reports to no one, kept so that looking at them again costs microseconds."""

    def unchanged(self) -> bool: ...

    def close(self) -> None: ...


class Driver(ABC):
    """Observes the owned objects of one kind, and applies one change to one of them.

    `create`, `observe` and `apply` are all that most drivers need. One whose objects are settings of the host
    also has `default` and `unrecorded`, and records values in `store/saved_settings.py` before it changes them.
    """

    kind: ClassVar[str]
    # Does it follow its objects by itself from one reconcile to the next, and change no setting of the host? Then
    # CachedKernel keeps it, and asks it each time; the others are asked when rtnetlink reported a change.
    follows: ClassVar[bool] = False
    # Does `observe` look where `desired` says? If not, what it found stays known although something else is desired.
    looks_where_desired: ClassVar[bool] = True
    # Reports that tell of each change of its objects, and of nothing that another driver reads. CachedKernel asks it
    # alone after them.
    reported: ClassVar[Literal["rule", "route"] | None] = None
    loads_programs: ClassVar[bool] = False  # does a change need the right to load eBPF programs?

    @classmethod
    @abstractmethod
    def create(cls, handles: Handles, drivers: Mapping[str, Driver]) -> Self:
        """`drivers` is for a driver that needs objects of another kind to find its own."""

    @abstractmethod
    def observe(self, desired: HostState) -> Iterable[Object]:
        """Owned objects only. `desired` may say where to look (names, device), never what is owned."""

    def unrecorded(self, found: HostState) -> Iterable[Object]:
        """Settings that seem to have been changed without a record of it, `found` being the other objects."""
        return ()

    def default(self, key: str) -> str | None:
        """What to restore a setting to whose value before the gateway was not recorded; None: it is no setting."""
        return None

    def check(self, change: Change) -> None:
        """Raise what `apply` would, as far as that can be known beforehand. Changes nothing."""
        return

    def is_atomic(self, change: Change) -> bool:
        """Does the kernel take the change as a whole or not at all? Alone in a plan it then needs no check."""
        return False

    @abstractmethod
    def apply(self, change: Change) -> None:
        """Raises KernelError, and then leaves the object as it was."""

    @classmethod
    def writes(cls, key: str) -> str | None:
        """The setting below /proc/sys that a change of this object writes, if any."""
        return None

    def counters(self, live: HostState) -> Mapping[str, Mapping[str, int]]:
        """Packets by reason, under a heading for each place that counts."""
        return {}

    def flows(self, most: int) -> tuple[Sequence[Flow], int]:
        """The largest flows that the cache holds, by bytes, and how many there are."""
        return (), 0

    def watch(self, found: HostState) -> Watch | None:
        """A watch on the objects in `found`, if the kernel does not report their changes."""
        return None

    def invalidate(self) -> None:
        """The next `observe` reads everything. For drivers that follow."""
        return

    def release(self) -> None:
        """After a reconcile: let go of what costs memory and is seldom needed. For drivers that follow."""
        return

    def close(self) -> None:
        """Close what the driver opened itself; `handles` are closed by their owner."""
        return
