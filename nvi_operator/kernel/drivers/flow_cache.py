"""The programs of the flow cache at the interfaces of the gateway.

All share one set of maps, which is found again through any of them: what takes the place of a program goes on with
its flows and counters. Another version of the operator may lay out flows in another way, so that it begins with none;
generations and counters have the same form in all.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack

from nvi_operator.errors import KernelError
from nvi_operator.kernel.bpf import flow_cache as layout
from nvi_operator.kernel.bpf import live_flow_cache as cache
from nvi_operator.kernel.bpf import objects
from nvi_operator.kernel.bpf.attach import Attached, Attachments
from nvi_operator.kernel.bpf.generations import Generations
from nvi_operator.kernel.bpf.libbpf import LoadedObject
from nvi_operator.kernel.bpf.live_flow_cache import LiveMap, LiveProgram
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.drivers.flows import as_flow, traffic_group
from nvi_operator.kernel.drivers.tcx_watch import TcxWatch
from nvi_operator.kernel.handles import Handles
from nvi_operator.kernel.netlink.interfaces import ifindex_for, ifindex_of
from nvi_operator.kinds.flow_cache import FLOW_CACHE, HOOKS, FlowCacheOptions, FlowCacheProgram, Hook
from nvi_operator.language.model.values import FAMILIES
from nvi_operator.plan.change import Change
from nvi_operator.state.flow import Flow
from nvi_operator.state.host import HostState

_PROGRAMS: Mapping[tuple[Hook, bool], str] = {
    ("ingress", True): layout.IN,
    ("egress", True): layout.OUT,
    ("ingress", False): layout.CLEAN_IN,
    ("egress", False): layout.CLEAN_OUT,
}


class FlowCacheDriver(Driver):
    """`generations` follows the maps of the programs that are found."""

    kind = FLOW_CACHE.name
    loads_programs = True

    def __init__(self, attachments: Attachments, generations: Generations) -> None:
        self._attachments = attachments
        self._generations = generations
        self._stack = ExitStack()
        self._loaded: dict[FlowCacheOptions, LoadedObject] = {}

    @classmethod
    def create(cls, handles: Handles, drivers: Mapping[str, Driver]) -> FlowCacheDriver:
        attachments = Attachments(handles.ipr, handles.rtnetlink, handles.saved, cache.PROGRAMS.__contains__)
        return cls(attachments, handles.generations)

    def close(self) -> None:
        self._loaded.clear()
        self._stack.close()

    def observe(self, desired: HostState) -> Iterator[FlowCacheProgram]:
        """The caches of every interface. Programs that share no maps with the first ones are to be replaced, as are
        filters where the kernel has tcx: a guard there would run before them.
        """
        names = dict(socket.if_nameindex())
        places = list(self._places(names))
        self._follow(program for _, program in places)
        shared: dict[str, int] = {}
        for place, program in places:
            options = program.options
            if options is not None:
                apart = [n for n, each in program.maps.items() if shared.setdefault(n, each.number) != each.number]
                options = None if apart or place.mechanism != self._attachments.mechanism else options
            yield FlowCacheProgram(names[place.ifindex], place.hook, options)

    def watch(self, found: HostState) -> TcxWatch | None:
        return TcxWatch.of(
            {obj.ifname for obj in found.of_kind(self.kind) if isinstance(obj, FlowCacheProgram)}, HOOKS
        )

    def counters(self, live: HostState) -> dict[str, dict[str, int]]:
        maps = self._maps()
        if not {*layout.FLOWS.values(), layout.COUNTERS, layout.WAYS, layout.TOTALS} <= maps.keys():
            return {}  # half of one
        names = dict(socket.if_nameindex())
        with cache.opened(maps) as fds:
            ways, reasons, entries = cache.read_ways(fds), cache.read_counters(fds), cache.count_flows(fds)
        found = {f"entries_ipv{family}": count for family, count in entries.items()}
        found |= {"fast": sum(traffic.packets for traffic in ways.values())}
        # The kernel tells of none: an entry that was made, did not end and is not there gave way to another.
        found |= {"evicted": max(0, reasons["learned"] - reasons["ended"] - sum(entries.values()))}
        groups = {"flow cache": found | reasons}
        for way, traffic in ways.items():
            if traffic.packets:
                groups[traffic_group(names, way)] = {"packets": traffic.packets, "bytes": traffic.bytes}
        return groups

    def flows(self, most: int) -> tuple[Sequence[Flow], int]:
        maps = self._maps()
        if not set(layout.FLOWS.values()) <= maps.keys():
            return (), 0
        names = dict(socket.if_nameindex())
        with cache.opened(maps) as fds:
            flows, total = cache.largest_flows(fds, most)
        return [as_flow(names, each) for each in flows], total

    def check(self, change: Change) -> None:
        """Does this kernel take the programs, and is there memory for the maps? Load them."""
        if isinstance(change.after, FlowCacheProgram):
            assert change.after.options is not None
            with ExitStack() as stack:
                self._programs(change.after.options, stack)

    def apply(self, change: Change) -> None:
        assert isinstance(change.present, FlowCacheProgram)
        ifname, hook = change.present.ifname, change.present.hook
        if change.after is None and ifindex_of(ifname) is None:
            return
        ifindex = ifindex_for(f"flow cache {change.ref.key}: attaching", ifname)
        before = [place for place, _ in self._places({ifindex: ifname}) if place.hook == hook]
        if isinstance(change.after, FlowCacheProgram):
            assert change.after.options is not None
            name = _PROGRAMS[hook, change.after.options.caches]
            replaced = before.pop(0) if before else None
            with ExitStack() as stack:
                fd = self._programs(change.after.options, stack)[name]
                self._attachments.attach(ifindex, hook, fd, name, "first", replaces=replaced)
            self._follow(program for _, program in self._all())
        for place in before:
            self._attachments.detach(place)

    def _programs(self, options: FlowCacheOptions, stack: ExitStack) -> Mapping[str, int]:
        """Descriptors by name. Those that cache are loaded once for all interfaces: that takes some 30 ms."""
        if options in self._loaded:
            return self._loaded[options].programs
        names = [name for (_, caches), name in _PROGRAMS.items() if caches == options.caches]
        if not options.caches:
            return self._load(layout.OBJECT, options, names, stack).programs
        try:
            loaded = self._load(layout.OBJECT_WITH_CONNTRACK, options, names, self._stack)
        except KernelError:  # before Linux 5.18, or one without BTF
            loaded = self._load(layout.OBJECT, options, names, self._stack)
        self._loaded[options] = loaded
        return loaded.programs

    def _load(self, name: str, options: FlowCacheOptions, programs: list[str], stack: ExitStack) -> LoadedObject:
        found = cache.reusable((program for _, program in self._all()), options)
        with cache.opened(found) as reuse:
            load = objects.load(
                name,
                constants=cache.constants(options),
                sizes={each: size for each, size in cache.sizes(options).items() if each not in reuse},
                reuse=reuse,
                programs=programs,
            )
            return stack.enter_context(load)

    # ---------------------------------------------------------------- where they are

    def _all(self) -> list[tuple[Attached, LiveProgram]]:
        return list(self._places(dict(socket.if_nameindex())))

    def _places(self, ifindexes: Iterable[int]) -> Iterator[tuple[Attached, LiveProgram]]:
        found: dict[int, LiveProgram | None] = {}
        for hook in HOOKS:
            for place in self._attachments.at(hook, ifindexes):
                if place.program not in found:
                    found[place.program] = cache.inspect(place.program)
                program = found[place.program]
                if program is not None:
                    yield place, program

    def _maps(self) -> dict[str, LiveMap]:
        """The maps of the cache, as far as this version can read them."""
        programs = [program for _, program in self._all() if program.constants is not None]
        return {name: each for program in reversed(programs) for name, each in program.maps.items()}

    def _follow(self, programs: Iterable[LiveProgram]) -> None:
        maps = {(name, each.number): each for program in programs for name, each in program.maps.items()}
        generations = {str(number): each for (name, number), each in maps.items() if name == layout.GENERATIONS}
        flows = [(family, number) for family in FAMILIES for name, number in maps if name == layout.FLOWS[family]]
        with cache.opened(generations) as fds:
            self._generations.follow({int(number): fd for number, fd in fds.items()}, flows)
