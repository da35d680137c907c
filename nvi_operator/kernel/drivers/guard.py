"""The programs that guard an interface, at its egress (uplinks) and its ingress.

The interface is another's, and so may be its other programs and filters. The gateway's is known by the program's
name. Where the kernel has tcx it is there, before all filters and behind the flow cache. Elsewhere it is a filter, at
the first free preference, so that it is asked early; what runs earlier and ends in a verdict takes it out of the
path, which `nvictl doctor` names.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import groupby
from typing import Any, ClassVar, Self

from nvi_operator.errors import CapabilityError
from nvi_operator.kernel.bpf import objects, syscall
from nvi_operator.kernel.bpf.attach import Attached, Attachments
from nvi_operator.kernel.bpf.guard import COUNTERS, GuardProgram
from nvi_operator.kernel.bpf.libbpf import LoadedObject
from nvi_operator.kernel.bpf.live import opened_maps, read_constants, read_counters
from nvi_operator.kernel.bpf.live_flow_cache import PROGRAMS as CACHES
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.drivers.tcx_watch import TcxWatch
from nvi_operator.kernel.handles import Handles
from nvi_operator.kernel.netlink.interfaces import ifindex_for, ifindex_of, ifname_of
from nvi_operator.kinds.egress_guard import EgressGuard
from nvi_operator.kinds.ingress_guard import IngressGuard
from nvi_operator.plan.change import Change
from nvi_operator.state.host import HostState

# The flow cache runs before the guard at ingress. Where both are filters the first preference is the cache's.
_FIRST = {"ingress": 2, "egress": 1}

Guard = EgressGuard | IngressGuard


class GuardDriver(Driver):
    """The driver of one hook says in `kind`, `program`, `type` and `place` which."""

    loads_programs = True
    program: ClassVar[GuardProgram]
    type: ClassVar[type[Guard]]
    place: ClassVar[str]  # in words

    def __init__(self, attachments: Attachments) -> None:
        self._program = self.program
        self._attachments = attachments

    @classmethod
    def create(cls, handles: Handles, drivers: Mapping[str, Driver]) -> Self:
        is_own, is_cache = cls.program.is_attached, CACHES.__contains__
        return cls(Attachments(handles.ipr, handles.rtnetlink, handles.saved, is_own, runs_before=is_cache))

    def observe(self, desired: HostState) -> Iterator[Guard]:
        """Every owned guard, on whatever interface."""
        for ifindex, places in groupby(self._places(), lambda place: place.ifindex):
            ifname = ifname_of(ifindex)
            if ifname is not None:
                yield self._guard(ifname, list(places))

    def watch(self, found: HostState) -> TcxWatch | None:
        guards = {each.ifname for each in found.of_kind(self.kind) if isinstance(each, Guard)}
        return TcxWatch.of(guards, (self._program.hook,))

    def _guard(self, ifname: str, places: Sequence[Attached]) -> Guard:
        place = places[0]
        # One was to take the place of the other, or the flow cache runs behind it; or it is a filter for no reason.
        if len(places) > 1 or place.early or place.mechanism != self._attachments.mechanism:
            return self.type(ifname, None, frozenset())
        return self.type(ifname, *self._contents(place.program))

    def counters(self, live: HostState) -> dict[str, dict[str, int]]:
        """Packets by reason, over all interfaces and CPUs; empty where there is no guard."""
        total = dict.fromkeys(self._program.reasons, 0)
        places = list(self._places())
        for place in places:
            with opened_maps(place.program) as maps:
                for reason, number in read_counters(maps[COUNTERS], self._program.reasons).items():
                    total[reason] += number
        return {self.place: total} if places else {}

    def check(self, change: Change) -> None:
        """Does this kernel take the program, and do the entries fit in? Load it, and let it go."""
        if isinstance(change.after, Guard):
            with self._load(change.after, {}) as loaded:
                self._fill(loaded, change.after)

    def apply(self, change: Change) -> None:
        assert isinstance(change.present, Guard)
        ifindex = ifindex_of(change.present.ifname)
        places = [] if ifindex is None else list(self._places(ifindex))
        if isinstance(change.after, Guard):
            ifindex = ifindex_for(f"{self.kind} {change.after.key}: attaching", change.after.ifname)
            self._attach(change.after, ifindex, places.pop(0) if places else None)
        for place in places:
            self._attachments.detach(place)

    # ---------------------------------------------------------------- where it is

    def _places(self, ifindex: int = 0) -> Iterator[Attached]:
        """All owned ones, or those of one interface; the ones of an interface together."""
        ifindexes = [ifindex] if ifindex else [number for number, _ in socket.if_nameindex()]
        return self._attachments.at(self._program.hook, ifindexes)

    # ---------------------------------------------------------------- to and from the kernel

    def _load(self, guard: Guard, kept: Mapping[str, int]) -> AbstractContextManager[LoadedObject]:
        """Counters go on in the map of the previous program, if `kept` has one of the same form."""
        assert guard.stage_mask is not None
        entries, counters = self._program.entries(len(guard.entries)), self._program.counters
        if len(guard.entries) > entries.entries:
            raise CapabilityError(
                f"{self.kind} {guard.key}: {len(guard.entries)} prefixes: at most {entries.entries} fit",
                hint="write public addresses as prefixes",
            )
        goes_on = COUNTERS in kept and syscall.map_info(kept[COUNTERS]) == counters
        return objects.load(
            self._program.object,
            constants=self._program.constants(guard.stage_mask, guard.entries),
            sizes={entries.name: entries.entries},
            reuse={COUNTERS: kept[COUNTERS]} if goes_on else {},
        )

    def _fill(self, loaded: LoadedObject, guard: Guard) -> None:
        """Frozen afterwards: the kernel reports a filter that changes, but not a map."""
        table = loaded.maps[self._program.entries(0).name]
        for entry in guard.entries:
            syscall.update(table, *self._program.as_element(entry))
        syscall.freeze(table)

    def _attach(self, guard: Guard, ifindex: int, place: Attached | None) -> None:
        """Load, fill, then replace in one step: no packet meets a half-made program or map."""
        assert guard.stage_mask is not None
        with ExitStack() as stack:
            kept = stack.enter_context(opened_maps(place.program)) if place is not None else {}
            loaded = stack.enter_context(self._load(guard, kept))
            self._fill(loaded, guard)
            self._attachments.attach(
                ifindex,
                self._program.hook,
                loaded.programs[self._program.program],
                self._program.name(guard.stage_mask),
                "first",
                replaces=place,
                first=_FIRST[self._program.hook],
            )

    def _contents(self, number: int) -> tuple[int | None, frozenset[Any]]:
        """Stage bit and entries of a program that this version would load; otherwise nothing."""
        program = self._program
        with opened_maps(number) as maps:
            if (table := maps.get(program.entries(0).name)) is None:
                return None, frozenset()
            size = program.entries(0)
            keys = list(syscall.keys(table, size.key_size))
            found = read_constants(program.object, maps, (program.entries(len(keys)), program.counters))
            if found is None:
                return None, frozenset()
            values = [(key, syscall.lookup(table, key, size.value_size)) for key in keys]
        parse = program.parse_element
        return found["stage_mask"], frozenset(parse(key, value) for key, value in values if value is not None)
