"""The kernel of the network namespace that the calling thread is in, as one object: facts, observe, check, apply."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from heapq import nlargest
from typing import TYPE_CHECKING, Self

from nvi_operator.errors import CapabilityError
from nvi_operator.kernel.capabilities import capabilities
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.drivers.registry import DRIVERS, Drivers
from nvi_operator.kernel.drivers.sysctl import forwarding_now
from nvi_operator.kernel.handles import Handles
from nvi_operator.kernel.inspect.facts import read_facts, read_timeouts
from nvi_operator.kernel.netlink.conntrack import Conntrack
from nvi_operator.kernel.netns import cookie
from nvi_operator.kernel.rights import require
from nvi_operator.language.model.settings import Numbers
from nvi_operator.plan.change import Change, Plan
from nvi_operator.state.flow import Flow
from nvi_operator.state.host import HostState, Object
from nvi_operator.store.lock import GatewayLock
from nvi_operator.topology.blockers import Blocker
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.flows import FlowQuestion, TrackedFlow
from nvi_operator.topology.health import NO_HEALTH, HealthFacts

if TYPE_CHECKING:
    from nvi_operator.doctor.footprint import Footprint
    from nvi_operator.kernel.inspect.flow_cache import FlowCacheSurvey
    from nvi_operator.kernel.netlink.events import KernelEvents

Pairs = Iterable[tuple[str, Object]]  # kinds and objects


class Kernel:
    """Reads everything each time it is asked; `cached.py` has one for a daemon. Close it, or use it in `with`.

    Not to be moved between namespaces. Without a lock it makes one when it needs it, under the name of this process.
    Raises NviError where a kind has no driver.
    """

    def __init__(
        self,
        numbers: Numbers,
        *,
        lock: GatewayLock | None = None,
        events: KernelEvents | None = None,
        observes: bool = False,
    ) -> None:
        """`observes`: start what only an observation needs at once, and not when it is asked for."""
        self._lock = lock
        self._close_lock = lock is None
        self._handles = Handles(numbers, lock_files=lambda: self._lock.shared() if self._lock else (), events=events)
        self._drivers = Drivers(self._handles)
        self._assumed: frozenset[str] = frozenset()  # kinds that cannot be read now
        self._live: HostState | None = None  # as observed last
        self._flow_cache: FlowCacheSurvey | None = None
        self.health: HealthFacts = NO_HEALTH  # which only a daemon's probes know
        self._begun = False  # has this reconcile changed anything but what drivers follow?
        if observes:
            self._start()

    def _start(self) -> None:
        """The process of libnftables takes as long to start as facts to be read and a spec to be compiled."""
        for kind in FOLLOWED:
            self._drivers[kind]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._drivers.close()
        if self._close_lock and self._lock is not None:
            self._lock.close()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Within, no other process changes the gateway of this network namespace. BusyError, ConflictError."""
        if self._lock is None:
            self._lock = GatewayLock(cookie(), " ".join([os.path.basename(sys.argv[0]), *sys.argv[1:]]))
        with self._lock.changing():
            self._begun = False
            self._start()
            yield
            if self._begun and self._live is not None and not self._live:
                self._handles.saved.end()  # the record ends with the gateway

    def facts(self, wires: frozenset[str] = frozenset(), flow_cache: Footprint | None = None) -> Facts:
        """`wires` are the interfaces whose routes of `main` are told: those of uplinks. `flow_cache` is the footprint
        of a gateway that asks for one.
        """
        handles = self._handles
        try:
            before = handles.saved.all("sysctl")
        except CapabilityError:  # `init` and `explain` need no root; what changes something takes a lock beside them
            before = {}
        facts = read_facts(handles.rtnetlink, handles.cookie, wires, handles.numbers.protocol, before)
        facts = replace(facts, health=self.health)
        if flow_cache is None:
            return facts
        return replace(facts, timeouts=read_timeouts(), blockers=self._blockers(facts, flow_cache))

    def _blockers(self, facts: Facts, flow_cache: Footprint) -> tuple[Blocker, ...]:
        from nvi_operator.kernel.inspect.flow_cache import FlowCacheSurvey  # takes long, and few ask for it

        if self._flow_cache is None:
            self._flow_cache = FlowCacheSurvey()
        return self._flow_cache.blockers(self._handles.rtnetlink, facts, flow_cache)

    def observe(self, desired: HostState) -> HostState:
        """All owned objects. `desired` says where to look, never what is owned."""
        self._live = self._observe(desired)
        return self._live

    def _observe(self, desired: HostState) -> HostState:
        return self._read(desired).plus(self._follow(desired))

    def _read(self, desired: HostState) -> HostState:
        """The objects of drivers that do not follow them. CapabilityError without CAP_NET_ADMIN."""
        _require_admin()
        drivers = [driver for driver in self._drivers.values() if not driver.follows]
        found = HostState.of(pair for driver in drivers for pair in self._ask(driver, desired))
        return found.plus((driver.kind, obj) for driver in drivers for obj in driver.unrecorded(found))

    def _follow(self, desired: HostState) -> Pairs:
        """The objects of drivers that follow them."""
        for kind in FOLLOWED:
            yield from self._ask(self._drivers[kind], desired)

    def _ask(self, driver: Driver, desired: HostState) -> Pairs:
        assumed = driver.kind in self._assumed
        objects = desired.of_kind(driver.kind) if assumed else driver.observe(desired)
        return ((driver.kind, obj) for obj in objects)

    def check(self, plan: Plan) -> None:
        """Would the kernel take it? Nothing is changed."""
        if len(plan.steps) == 1 and self._drivers[plan.steps[0].ref.kind].is_atomic(plan.steps[0]):
            return  # it fails as a whole as well, and a rehearsal takes longer than all the rest
        self._require_rights(plan)
        for change in plan.steps:
            self._drivers[change.ref.kind].check(change)

    def _require_rights(self, plan: Plan) -> None:
        require(plan, DRIVERS)

    def apply(self, change: Change) -> None:
        driver = self._drivers[change.ref.kind]
        if not driver.follows:
            self._begin(change)
        try:
            driver.apply(change)
        finally:
            self._handles.generations.gateway_changed()  # cached flows are to be confirmed by what holds now

    def _begin(self, change: Change) -> None:
        """Before a change of anything that is not followed; the first one completes the record of settings."""
        if not self._begun and self._live is not None:
            defaults = {(ref.kind, ref.key): self._drivers[ref.kind].default(ref.key) for ref in self._live.objects}
            self._handles.saved.begin(
                forwarding_now(),
                {setting: value for setting, value in defaults.items() if value is not None},
                stands=bool(self._live),
                needed=change.after is not None,
            )
        self._begun = True

    def tracked_flows(self, question: FlowQuestion) -> Iterator[TrackedFlow]:
        """Entries of conntrack, as the kernel lists them. Raises KernelError."""
        with Conntrack() as conntrack:
            yield from conntrack.flows(question)

    def end_flows(self, flows: Iterable[TrackedFlow]) -> int:
        """Delete exactly these entries, also while they are listed; returns how many were there still. Raises
        KernelError.
        """
        with Conntrack() as conntrack:
            return conntrack.end(flows)

    def counters(self, live: HostState) -> dict[str, dict[str, int]]:
        """What the programs, the device and the table counted, in packets; empty where there is nothing to count."""
        groups = (driver.counters(live) for driver in self._drivers.values())
        return {place: dict(counts) for group in groups for place, counts in group.items()}

    def flows(self, most: int) -> tuple[list[Flow], int]:
        """The largest flows that a cache holds, by bytes, and how many there are. CapabilityError without rights."""
        _require_admin()
        found = [driver.flows(most) for driver in self._drivers.values()]
        flows = [flow for each, _ in found for flow in each]
        return nlargest(most, flows, key=lambda flow: flow.bytes), sum(total for _, total in found)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know about the state of this host, beyond errors."""
        return self._handles.warnings


FOLLOWED = tuple(kind for kind, driver in DRIVERS.items() if driver.follows)


def _require_admin() -> None:
    """nft tables can be neither seen nor changed without."""
    if "CAP_NET_ADMIN" not in capabilities():
        raise CapabilityError(
            "kernel: reading and changing nft tables: CAP_NET_ADMIN is missing", hint="run as root, or use sudo"
        )
