"""The kernel of the network namespace that the calling thread is in, as one object: facts, observe, check, apply."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from nvi_operator.errors import CapabilityError
from nvi_operator.kernel.drivers.nft_table import NftTableDriver
from nvi_operator.kernel.inspect.machine import capabilities
from nvi_operator.kernel.memory import Memory
from nvi_operator.kernel.netns import cookie
from nvi_operator.kernel.nft.client import Nft
from nvi_operator.kernel.objects import Objects
from nvi_operator.kernel.rights import require
from nvi_operator.language.model.settings import Numbers
from nvi_operator.plan.change import Change, Plan
from nvi_operator.ruleset.table import TABLE
from nvi_operator.state.host import HostState
from nvi_operator.store.lock import GatewayLock
from nvi_operator.topology.facts import Facts


class HostKernel:
    """A pass's handle on the kernel; close it, or use it in `with`. Not to be moved between namespaces.

    With a memory it looks only at what may have changed since. pyroute2 takes milliseconds to start, and leaks a
    little per request on an open socket: it is started when it is needed, and a daemon makes a new one for each pass.
    Without a lock it makes one when it needs it, under the name of this process.
    """

    def __init__(
        self,
        numbers: Numbers,
        memory: Memory | None = None,
        *,
        assume_table: bool = False,
        lock: GatewayLock | None = None,
    ) -> None:
        """`assume_table`: libnftables cannot list our table, so take it to be as desired, and leave it alone."""
        self._numbers = numbers
        self._memory = memory
        self._assume_table = assume_table
        self._lock = lock or (memory.lock if memory else None)
        self._close_lock = self._lock is None
        self._live: HostState | None = None  # as observed last
        self._begun = False  # has the pass changed anything?

    def __enter__(self) -> HostKernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if "_objects" in self.__dict__:
            self._objects.close()
        if self._memory is None and "_nft" in self.__dict__:
            self._nft.close()
        if self._close_lock and self._lock is not None:
            self._lock.close()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Within, no other process changes the gateway of this network namespace. BusyError, ConflictError."""
        if self._lock is None:
            self._lock = GatewayLock(cookie(), " ".join([os.path.basename(sys.argv[0]), *sys.argv[1:]]))
        with self._lock.changing():
            self._begun = False
            yield
            if self._begun and self._live is not None:
                self._objects.end(self._live)

    @cached_property
    def _nft(self) -> NftTableDriver:
        """Not needed for the facts, and it needs the nftables binding."""
        if self._memory:
            return self._memory.table
        return NftTableDriver(TABLE, nft=Nft(shares=lambda: self._lock.shared() if self._lock else ()))

    @cached_property
    def _objects(self) -> Objects:
        return Objects(self._numbers)

    def facts(self, wires: frozenset[str] = frozenset()) -> Facts:
        """`wires` are the interfaces whose routes of `main` are told: those of uplinks."""

        def look() -> Facts:
            return self._objects.facts(wires)

        return self._memory.facts(look, wires) if self._memory else look()

    def observe(self, desired: HostState) -> HostState:
        """Everything of ours. `desired` says where to look, never what is ours."""
        self._live = self._observe(desired)
        return self._live

    def _observe(self, desired: HostState) -> HostState:
        if self._assume_table:
            return self._look(desired).plus((self._nft.kind, table) for table in desired.of_kind(self._nft.kind))
        if self._memory:
            return self._memory.observe(self._numbers, desired, self._look)
        return self._look(desired).plus((self._nft.kind, table) for table in self._nft.observe(desired))

    def _look(self, desired: HostState) -> HostState:
        _need_rights()
        return self._objects.observe(desired)

    def check(self, plan: Plan) -> None:
        """Would the kernel take it? Nothing is changed."""
        if len(plan.steps) == 1 and plan.steps[0].ref.kind == self._nft.kind and self._nft.is_whole(plan.steps[0]):
            return  # a single transaction fails as a whole, too, and the rehearsal takes longer than all the rest
        self._try_rights(plan)
        for change in plan.steps:
            if change.ref.kind == self._nft.kind:
                self._nft.check(change)
            else:
                self._objects.check(change)

    def _try_rights(self, plan: Plan) -> None:
        """A process seldom loses a right: a daemon tries them once."""
        if self._memory is None or not self._memory.rights_tried:
            require(plan)
        if self._memory:
            self._memory.rights_tried = True

    def counters(self, live: HostState) -> dict[str, dict[str, int]]:
        """What the device and the table counted, in packets; empty where there is nothing to count."""
        groups = self._objects.counters(live)
        table = self._nft.counters()
        return {**groups, f"nft table inet {TABLE}": table} if table else groups

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know about the state of this host, beyond errors."""
        return self._objects.warnings if "_objects" in self.__dict__ else ()

    def apply(self, change: Change) -> None:
        if change.ref.kind == self._nft.kind:
            self._nft.apply(change)
            return
        if not self._begun and self._live is not None:
            self._objects.begin(self._live, change)  # a pass that changes the table alone touches no setting
        self._begun = True
        if self._memory:
            self._memory.forget_objects()  # not all of it is reported
        self._objects.apply(change)


def _need_rights() -> None:
    """nft tables can be neither seen nor changed without."""
    if "CAP_NET_ADMIN" not in capabilities():
        raise CapabilityError(
            "kernel: wanted to see and change nft tables: CAP_NET_ADMIN is missing", hint="run as root, or use sudo"
        )
