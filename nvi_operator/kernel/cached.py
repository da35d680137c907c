"""The kernel as a daemon reads it: what was read stays known until the kernel reports a change.

A number that goes up with each change is read before anything else, and what was read counts for as long as the
number is the same: the generation of the ruleset for the nft table (`drivers/nft_table.py`, which also follows
reports of elements), and the counts of rtnetlink's reports (`KernelEvents.generation`) for all else. So a report that
comes during or after a read ends what was read. After one about an owned rule or route only those are read.

The kernel reports a link that goes down before the routes that disappear with it, and those not at all. It holds its
lock (RTNL) meanwhile, and a listing of links takes the same lock, which is why a read begins with the links.

Drivers keep a `Watch` on objects that the kernel does not report (settings, programs at tcx). A daemon asks for those
by `unreported_change` each second. A reconcile does not: reading thirty settings takes several times as long as
everything else that it does where nothing changed. Neither reported nor watched, and so not noticed before
`invalidate`, which a daemon calls at a timer: in-interfaces in the map of the device's program (what comes in by one
without an entry is dropped and counted), modules on disk, and routes of the operator's protocol that another process
adds to the tables `main` and `local`. The maps of the guards are frozen.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from nvi_operator.dataclass import dataclass
from nvi_operator.kernel.bpf.generations import Generations
from nvi_operator.kernel.driver import Watch
from nvi_operator.kernel.drivers.nft_table import NftTableDriver
from nvi_operator.kernel.drivers.registry import DRIVERS
from nvi_operator.kernel.kernel import FOLLOWED, Kernel
from nvi_operator.kernel.netlink.events import Generation, KernelEvents
from nvi_operator.kinds.nft_table import NFT_TABLE
from nvi_operator.language.model.settings import Numbers
from nvi_operator.plan.change import Change, Plan
from nvi_operator.state.host import HostState, Object, Ref
from nvi_operator.store.lock import GatewayLock
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.numbers import TABLES

if TYPE_CHECKING:
    from nvi_operator.doctor.footprint import Footprint


@dataclass(frozen=True)
class _Known:
    """The objects that no driver follows, where `numbers` and `desired` led to."""

    generation: Generation
    numbers: Numbers
    desired: HostState
    found: HostState
    watches: tuple[Watch, ...]

    def holds(self, generation: Generation, numbers: Numbers, desired: HostState) -> bool:
        """Does it still hold, but for the objects that reports about owned rules and routes tell of?"""
        return (
            self.generation.other == generation.other
            and (self.numbers is numbers or self.numbers == numbers)
            and (self.desired is desired or _guides(self.desired) == _guides(desired))
        )

    def is_unchanged(self) -> bool:
        return all(watch.unchanged() for watch in self.watches)


@dataclass(frozen=True)
class _KnownFacts:
    generation: Generation
    wires: frozenset[str]
    flow_cache: Footprint | None
    facts: Facts
    numbers: Numbers

    def holds(self, generation: Generation, wires: frozenset[str], flow_cache: Footprint | None) -> bool:
        return (
            self.generation.other == generation.other
            and (self.wires, self.flow_cache) == (wires, flow_cache)
            and (self.generation.route == generation.route or not self._tell_of_owned_tables())
            and self.facts.hostname == socket.gethostname()
        )

    def _tell_of_owned_tables(self) -> bool:
        """Does a rule of another process lead to a table of the gateway?"""
        tables = range(self.numbers.table, self.numbers.table + TABLES)
        return any(found.rule.table in tables for found in self.facts.rules)


class CachedKernel(Kernel):
    """In the network namespace of `events`. Each reconcile is done within `using`. Close it, or use it in `with`."""

    def __init__(self, events: KernelEvents, lock: GatewayLock | None = None) -> None:
        """CapabilityError where the nftables bindings are missing."""
        super().__init__(Numbers(), lock=lock, events=events, observes=True)
        self._events = events
        self._rights_tried = False
        self._known_facts: _KnownFacts | None = None
        self._found_blockers = False  # others than before, by whoever asked for facts: a question for the status, say
        self._crowded: frozenset[str] = frozenset()  # interfaces with more routes than are followed
        self._known: _Known | None = None
        self._followed: tuple[tuple[str, Object], ...] = ()  # as of the last observation
        self._all: HostState | None = None  # both together

    def close(self) -> None:
        self._invalidate_objects()
        super().close()

    @contextmanager
    def using(self, numbers: Numbers, *, assumed: Collection[str] = ()) -> Iterator[CachedKernel]:
        """Wraps one reconcile: afterwards sockets and processes are closed, and nothing is forgotten.

        Objects of the `assumed` kinds cannot be read: they are taken to be as desired, and left alone.
        """
        self._handles.numbers = numbers
        self._assumed = frozenset(assumed)
        try:
            yield self
        finally:
            self._assumed = frozenset()
            self._drivers.release()

    def invalidate(self) -> None:
        """Read everything next time: now and then, when reports were lost, and after an error."""
        for kind in FOLLOWED:
            self._drivers[kind].invalidate()
        self._invalidate_facts_and_objects()
        self._crowded = frozenset()

    @property
    def generations(self) -> Generations:
        """The generations of the flow cache that was found last."""
        return self._handles.generations

    def stay_ready(self, ready: bool) -> None:
        """Keep a process of libnftables at hand, which takes 17 MiB, because the next change may be urgent."""
        table = self._drivers[NFT_TABLE.name]
        assert isinstance(table, NftTableDriver)
        table.stay_ready(ready)

    def forget_facts(self) -> None:
        """Read them again next time: something changed that `KernelEvents` does not report."""
        self._known_facts = None

    def unreported_change(self) -> bool:
        """Did anything that is watched change since the last observation? If so the next one reads everything that is
        not followed, and the facts: settings are among both. Takes a fraction of a millisecond.
        """
        if self._known is not None and not self._known.is_unchanged():
            self._invalidate_facts_and_objects()
            return True
        found, self._found_blockers = self._found_blockers, False
        facts = self._known_facts.facts if self._known_facts else None
        stale = facts and facts.blockers and self._flow_cache is not None and self._flow_cache.is_stale()
        return found or bool(stale)

    def facts(self, wires: frozenset[str] = frozenset(), flow_cache: Footprint | None = None) -> Facts:
        """The facts; the same object as last time, if nothing was reported."""
        generation, known = self._events.generation(), self._known_facts
        if known is None or not known.holds(generation, wires, flow_cache):
            numbers = self._handles.numbers
            followed = _numbers_of(wires - self._crowded)
            self._events.follow(followed, numbers.protocol)  # first: changes during the read count
            generation, facts = self._events.generation(), super().facts(wires, flow_cache)
            known = self._known_facts = _KnownFacts(generation, wires, flow_cache, facts, numbers)
            self._crowded = frozenset(ifname for ifname in wires if _is_crowded(known.facts, ifname))
        elif flow_cache is not None and self._flow_cache is not None and self._flow_cache.is_stale():
            found = self._blockers(known.facts, flow_cache)
            if found != known.facts.blockers:
                known = self._known_facts = replace(known, facts=replace(known.facts, blockers=found))
                self._found_blockers = True
        if known.facts.health is not self.health:
            known = self._known_facts = replace(known, facts=replace(known.facts, health=self.health))
        return known.facts

    def _observe(self, desired: HostState) -> HostState:
        """The owned objects; the same object as last time, if nothing changed."""
        generation, numbers, known = self._events.generation(), self._handles.numbers, self._known
        if known is None or not known.holds(generation, numbers, desired):
            self._invalidate_objects()
            found = self._read(desired)
            watches = (self._drivers[kind].watch(found) for kind in DRIVERS)
            known = _Known(generation, numbers, desired, found, tuple(watch for watch in watches if watch))
        elif known.generation != generation:
            known = replace(known, generation=generation, found=self._read_reported(known, generation, desired))
            self._all = None
        elif known.desired is not desired:  # nothing to look elsewhere for; next time this is found out at once
            known = replace(known, desired=desired)
        self._known = known
        followed = tuple(self._follow(desired))
        if self._all is None or not _same(followed, self._followed):
            self._followed, self._all = followed, known.found.plus(followed)
        return self._all

    def _read_reported(self, known: _Known, generation: Generation, desired: HostState) -> HostState:
        """What is known, with those objects read again that reports told of."""
        found = known.found
        for kind, driver in DRIVERS.items():
            if driver.reported and getattr(known.generation, driver.reported) != getattr(generation, driver.reported):
                found = found.with_kind(kind, (obj for _, obj in self._ask(self._drivers[kind], desired)))
        return found

    def _require_rights(self, plan: Plan) -> None:
        """A process seldom loses a right: they are tried once."""
        if not self._rights_tried:
            super()._require_rights(plan)
        self._rights_tried = True

    def _begin(self, change: Change) -> None:
        if DRIVERS[change.ref.kind].reported and self._live:
            return  # its report comes before the kernel's answer, and it is no setting to be recorded
        super()._begin(change)
        self._invalidate_facts_and_objects()  # not all of a change is reported

    def _invalidate_facts_and_objects(self) -> None:
        self._known_facts = None
        self._invalidate_objects()

    def _invalidate_objects(self) -> None:
        if self._known is not None:
            for watch in self._known.watches:
                watch.close()
            self._known = None
            self._all = None


def _same(some: tuple[tuple[str, Object], ...], others: tuple[tuple[str, Object], ...]) -> bool:
    """Are they the same objects? Comparing large ones takes long."""
    return len(some) == len(others) and all(a[1] is b[1] for a, b in zip(some, others, strict=True))


def _numbers_of(ifnames: frozenset[str]) -> frozenset[int]:
    """The indexes of the interfaces that exist."""
    found = {name: number for number, name in socket.if_nameindex()} if ifnames else {}
    return frozenset(found[ifname] for ifname in ifnames if ifname in found)


def _is_crowded(facts: Facts, ifname: str) -> bool:
    link = facts.links.get(ifname)
    return link is not None and link.crowded


_GUIDING = frozenset(kind for kind, driver in DRIVERS.items() if driver.looks_where_desired and not driver.follows)


def _guides(state: HostState) -> dict[Ref, Object]:
    """What drivers look at to know where to look."""
    return {ref: obj for ref, obj in state.objects.items() if ref.kind in _GUIDING}
