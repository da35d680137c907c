"""Where programs run at an interface: by tcx where the kernel has it (6.6), as filters of clsact elsewhere.

Either way a program outlives the process that attached it, and is found by its name. tcx runs before clsact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import KernelError, NviError
from nvi_operator.kernel.bpf import tcx
from nvi_operator.kernel.bpf.clsact import Clsact, Filter
from nvi_operator.kernel.bpf.live import opened_program
from nvi_operator.kernel.bpf.syscall import program_name
from nvi_operator.kernel.bpf.tcx import Hook, Order
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.store.saved_settings import SavedSettings

Mechanism = Literal["tcx", "clsact"]


@dataclass(frozen=True)
class Attached:
    """A program at an interface: its number, and its name (with clsact: its filter's). `early`: it is at tcx and runs
    before one that is to run before it.
    """

    ifindex: int
    hook: Hook
    mechanism: Mechanism
    program: int
    name: str
    filter: Filter | None = None
    early: bool = False


def _none(name: str) -> bool:
    """No program is to run before."""
    return False


def preferred() -> Mechanism:
    """What this kernel has."""
    return "tcx" if tcx.available() else "clsact"


class Attachments:
    """The programs of one driver, whose names `is_owned` knows.

    `mechanism` forces one for new programs. Those of the other are found, and replaced by such, all the same.
    `runs_before` knows the names of what is to run before them at tcx.
    """

    def __init__(
        self,
        ipr: Any,
        rtnetlink: Rtnetlink,
        saved: SavedSettings,
        is_owned: Callable[[str], bool],
        *,
        mechanism: Mechanism | None = None,
        runs_before: Callable[[str], bool] = _none,
    ) -> None:
        self._is_owned = is_owned
        self._runs_before = runs_before
        self._clsact = Clsact(ipr, rtnetlink, saved)
        self._mechanism = mechanism

    @property
    def mechanism(self) -> Mechanism:
        return self._mechanism or preferred()

    def at(self, hook: Hook, ifindexes: Iterable[int]) -> Iterator[Attached]:
        """Every owned program at these interfaces, in the order in which they run."""
        numbers = tuple(ifindexes)
        filters: dict[int, list[Attached]] = {}
        for each in self.filters(hook, numbers[0] if len(numbers) == 1 else 0):  # one listing, however many there are
            filters.setdefault(each.ifindex, []).append(each)
        for ifindex in numbers:
            if tcx.available():
                yield from self._by_tcx(hook, ifindex)
            yield from filters.get(ifindex, ())

    def filters(self, hook: Hook, ifindex: int = 0) -> Iterator[Attached]:
        """Every owned filter of clsact, of one interface or of all."""
        for each in self._clsact.filters(hook, ifindex):
            if self._is_owned(each.name):
                yield Attached(each.ifindex, hook, "clsact", each.program, each.name, each)

    def attach(
        self,
        ifindex: int,
        hook: Hook,
        fd: int,
        name: str,
        order: Order,
        *,
        replaces: Attached | None = None,
        first: int = 1,
    ) -> None:
        """Attach a loaded program before or after the others of that place, or instead of one; at tcx behind what is
        to run before it.

        The first of several at clsact is the one that came first: a filter takes the lowest preference that is free,
        from `first` on. `name` is the filter's. A replacement by the same mechanism is one step, in which every
        packet meets either program; otherwise, or where that one is early, both run for a moment.
        """
        if replaces is not None and replaces.mechanism == self.mechanism and not replaces.early:
            self._replace(replaces, fd, name)
            return
        if self.mechanism == "tcx":
            listing = tcx.programs(ifindex, hook)
            ahead = [number for number in listing.programs if self._is_ahead(program_name(number))]
            tcx.attach(ifindex, hook, fd, order, listing.revision, behind=ahead[-1] if ahead else None)
        else:
            self._clsact.attach(ifindex, hook, fd, name, order, first=first)
        if replaces is not None:
            self.detach(replaces)

    def detach(self, place: Attached) -> None:
        """Raises a transient KernelError if another program runs there meanwhile."""
        if place.filter is not None:
            self._clsact.detach(place.filter)
            return
        with ExitStack() as stack:
            fd, revision = _opened(stack, place)
            tcx.detach(place.ifindex, place.hook, fd, revision)

    def _replace(self, place: Attached, fd: int, name: str) -> None:
        if place.filter is not None:
            self._clsact.replace(place.filter, fd, name)
            return
        with ExitStack() as stack:
            previous, revision = _opened(stack, place)
            tcx.replace(place.ifindex, place.hook, fd, previous, revision)

    def _by_tcx(self, hook: Hook, ifindex: int) -> Iterator[Attached]:
        try:
            listing = tcx.programs(ifindex, hook)
        except NviError:
            return  # the interface has gone
        found = [(number, program_name(number)) for number in listing.programs]
        for place, (number, name) in enumerate(found):
            if name is not None and self._is_owned(name):
                early = any(self._is_ahead(other) for _, other in found[place + 1 :])
                yield Attached(ifindex, hook, "tcx", number, name, early=early)

    def _is_ahead(self, name: str | None) -> bool:
        return name is not None and self._runs_before(name)


def _opened(stack: ExitStack, place: Attached) -> tuple[int, int]:
    """A descriptor of the program, and the revision in which it was still there."""
    listing = tcx.programs(place.ifindex, place.hook)
    if place.program not in listing.programs:
        raise KernelError(
            f"bpf program {place.name} at {place.hook} of interface {place.ifindex}: it is no longer there",
            transient=True,
        )
    return stack.enter_context(opened_program(place.program)), listing.revision
