"""The flow cache that is in the kernel: what its programs are, and what its maps hold."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from heapq import nlargest

from nvi_operator.dataclass import dataclass
from nvi_operator.kernel.bpf import flow_cache as layout
from nvi_operator.kernel.bpf import objects, syscall
from nvi_operator.kernel.bpf.flow_cache import CachedFlow, Traffic
from nvi_operator.kernel.bpf.live import opened_program
from nvi_operator.kernel.bpf.maps import ARRAY, PERCPU_ARRAY, MapInfo
from nvi_operator.kinds.flow_cache import FlowCacheOptions
from nvi_operator.language.model.values import FAMILIES

PROGRAMS = frozenset({layout.IN, layout.OUT, layout.CLEAN_IN, layout.CLEAN_OUT})
_CLEAN = frozenset({layout.CLEAN_IN, layout.CLEAN_OUT})  # of an interface where nothing is cached
_OBJECTS = (layout.OBJECT_WITH_CONNTRACK, layout.OBJECT)
_RODATA = f"{layout.OBJECT[:8]}.rodata"  # the map of the constants: libbpf cuts its name to 15 characters
_NONE = 1  # entries of a map that is not used

# Maps of the same form in every version, so that what they hold outlives a change of version.
_MMAPABLE = 1 << 10  # BPF_F_MMAPABLE
KEPT = (
    MapInfo(layout.GENERATIONS, ARRAY, 4, 4, layout.GENERATIONS_ENTRIES, _MMAPABLE),
    MapInfo(layout.COUNTERS, PERCPU_ARRAY, 4, 8, len(layout.REASONS)),
    MapInfo(layout.WAYS, ARRAY, 4, 8, layout.WAYS_ENTRIES),
    MapInfo(layout.TOTALS, PERCPU_ARRAY, 4, layout.TOTAL_SIZE, layout.WAYS_ENTRIES),
)
_FLOWS = (*layout.FLOWS.values(), layout.DOORS, layout.SLOTS, layout.CPU)


@dataclass(frozen=True)
class LiveMap:
    number: int
    info: MapInfo


@dataclass(frozen=True)
class LiveProgram:
    """A program by the operator. `constants` is None if another version of it loaded it."""

    name: str
    constants: Mapping[str, int] | None
    maps: Mapping[str, LiveMap]

    @property
    def options(self) -> FlowCacheOptions | None:
        """The options as it would be loaded today; None if it would not be."""
        if self.constants is None:
            return None
        if self.name in _CLEAN:
            return FlowCacheOptions(self.constants["stage_mask"], (0, 0), 0)
        counts = [self.maps[layout.FLOWS[family]].info.entries for family in FAMILIES]
        ipv4, ipv6 = (0 if count == _NONE else count for count in counts)
        options = FlowCacheOptions(self.constants["stage_mask"], (ipv4, ipv6), self.constants["longest_ms"])
        return options if constants(options).items() <= self.constants.items() else None


def constants(options: FlowCacheOptions) -> dict[str, int]:
    return layout.constants(
        stage_mask=options.stage_mask,
        entries=max(options.entries),
        cpus=syscall.possible_cpus(),
        longest_ms=options.interval,
    )


def sizes(options: FlowCacheOptions) -> dict[str, int]:
    return layout.sizes(dict(zip(FAMILIES, options.entries, strict=True)))


def reusable(programs: Iterable[LiveProgram], options: FlowCacheOptions) -> dict[str, LiveMap]:
    """The maps of live programs that others with these options can go on with.

    Flows only if the same version of the programs made them, for the same stage bit.
    """
    found: dict[str, LiveMap] = {}
    kept, entries = {info.name: info for info in KEPT}, sizes(options)
    for program in programs:
        same = program.constants is not None and program.constants["stage_mask"] == options.stage_mask
        for name, each in program.maps.items():
            fits = same and name in _FLOWS and entries.get(name, each.info.entries) == each.info.entries
            if fits or kept.get(name) == each.info:
                found.setdefault(name, each)
    return found


def inspect(number: int) -> LiveProgram | None:
    """None for a program that is no one of the flow cache."""
    with ExitStack() as stack:
        info = syscall.program_info(stack.enter_context(opened_program(number)))
        maps: dict[str, LiveMap] = {}
        rodata = None
        for each in info.map_ids:
            map_fd = syscall.map_fd(each)
            stack.callback(os.close, map_fd)
            about = syscall.map_info(map_fd)
            if about.name == _RODATA:
                rodata = syscall.lookup(map_fd, struct.pack("=I", 0), about.value_size)
            else:
                maps[about.name] = LiveMap(each, about)
    if info.name not in PROGRAMS or rodata is None:
        return None
    found = (objects.constants_of(name, rodata) for name in _OBJECTS)
    return LiveProgram(info.name, next((each for each in found if each is not None), None), maps)


@contextmanager
def opened(maps: Mapping[str, LiveMap]) -> Iterator[dict[str, int]]:
    """Descriptors of maps, by name."""
    with ExitStack() as stack:
        fds: dict[str, int] = {}
        for name, each in maps.items():
            fds[name] = syscall.map_fd(each.number)
            stack.callback(os.close, fds[name])
        yield fds


# --------------------------------------------------------------------------- what the maps hold


def read_counters(fds: Mapping[str, int]) -> dict[str, int]:
    """Packets by reason, over all CPUs; those that took the fast path are `fast`."""
    size = 8 * syscall.possible_cpus()
    found = {}
    for reason in layout.REASONS:
        value = syscall.lookup(fds[layout.COUNTERS], layout.counter_index(reason), size)
        found[reason] = layout.parse_counter(value) if value else 0
    return found


def read_ways(fds: Mapping[str, int]) -> dict[tuple[int, int] | None, Traffic]:
    """What took the fast path, by in- and out-interface; None: between those that are not counted apart."""
    size = layout.TOTAL_SIZE * syscall.possible_cpus()
    found: dict[tuple[int, int] | None, Traffic] = {}
    for index in layout.way_indexes():
        way = layout.parse_way(syscall.lookup(fds[layout.WAYS], index, 8) or bytes(8))
        if way is not None or not any(index):
            value = syscall.lookup(fds[layout.TOTALS], index, size)
            found[way] = layout.parse_total(value or b"")
    return found


def largest_flows(fds: Mapping[str, int], most: int) -> tuple[list[CachedFlow], int]:
    """The largest flows by bytes, and the number of entries. Parses only what it returns: there may be a million."""
    total = 0

    def elements() -> Iterator[tuple[bytes, bytes]]:
        nonlocal total
        for family, name in layout.FLOWS.items():
            for element in syscall.elements(fds[name], layout.KEY_SIZE[family], layout.ENTRY_SIZE[family]):
                total += 1
                yield element

    found = nlargest(most, elements(), key=lambda element: layout.bytes_of(element[1]))
    return [layout.parse_flow(*element) for element in found], total


def count_flows(fds: Mapping[str, int]) -> dict[int, int]:
    """Entries of each family."""
    return {
        family: syscall.count_elements(fds[name], layout.KEY_SIZE[family], layout.ENTRY_SIZE[family])
        for family, name in layout.FLOWS.items()
    }
