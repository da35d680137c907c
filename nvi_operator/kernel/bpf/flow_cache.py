"""The flow cache's maps as bytes: keys, entries, counters, generations. Pure; programs/flow_cache.bpf.c fills them.

What a driver does:

- Load `OBJECT_WITH_CONNTRACK`, which asks conntrack before it learns a flow; where the kernel refuses it (before
  5.18, or without BTF) `OBJECT`. Both have the same programs, maps and constants.
- Set `constants(...)` and `sizes(...)` at the load. `longest_ms` must be at most half of the shortest conntrack
  timeout that a cached flow may have.
- Attach IN and OUT at the interfaces that take part: before every other program of their hook, at ingress and at
  egress. Egress programs behind OUT see what takes the fast path as well; those before it would rewrite it twice.
  At the gateway's other interfaces, attach CLEAN_IN and CLEAN_OUT.
- Load the device's program with the cache's tags (loop bit 0x8000) in the same step.
- Increment a generation (`generation_key`) when something changed that a cached flow depends on. Never set one back:
  entries that were made before an earlier value would be taken for good again.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.values import Family
from nvi_operator.state.flow import FlowTuple

OBJECT, OBJECT_WITH_CONNTRACK = "flow_cache", "flow_cache_ct"
IN, OUT, CLEAN_IN, CLEAN_OUT = "fc_in", "fc_out", "fc_clean_in", "fc_clean_out"

FLOWS: Mapping[Family, str] = MappingProxyType({4: "fc_flows4", 6: "fc_flows6"})
DOORS, SLOTS, GENERATIONS = "fc_doors", "fc_slots", "fc_generations"
WAYS, TOTALS, COUNTERS, CPU = "fc_ways", "fc_totals", "fc_counters", "fc_cpu"

# Why a packet took both passes.
SLOW = (
    "uncached_interface",  # without Ethernet header, or blocked
    "other_protocol",  # neither TCP nor UDP, or no unicast
    "options",  # of IPv4, or extension headers of IPv6
    "fragment",
    "malformed",
    "tcp_control",  # SYN, FIN or RST, or no ACK
    "unknown",  # no entry, and none is made yet
    "learning",
    "invalidated",  # a generation was incremented
    "expired",
    "suspended",  # an earlier packet is still between the passes
    "dscp_differs",  # from that of the entry
    "ttl_low",  # it ends here
    "too_big",  # larger than any that came out
)
# What happened to entries, and why a packet taught nothing. `no_slot` is counted besides one of SLOW.
EVENTS = ("no_slot", "learned", "changed", "renewed", "ended", "reused", "modified", "unassured", "helper")
REASONS = SLOW + EVENTS  # in the order of enum reason

_PROTOCOLS = {6: "tcp", 17: "udp"}
_SLOTS = 4096  # as many as 12 bits of tc_index name
_FEWEST_CPU_SLOTS = 8
_MOST_DOORS = 1 << 23
_RESIDENCE = 16  # seconds that an entry stays at least, if all CPUs learn as fast as they may
_FEWEST_LEARNS = 64
WAYS_ENTRIES = 1024  # in- and out-interfaces that are counted apart
GENERATIONS_ENTRIES = 257  # the gateway's, then those of interfaces

# The words of a key: source and destination, ports, in-interface << 8 | protocol. The last is in the host's order.
_KEY = {4: struct.Struct("=4s4s4sI"), 6: struct.Struct("=16s16s4sI")}
_ENTRY = struct.Struct("=5I4s6s6s2HQQ")
_ADDRESSES = {4: struct.Struct("=4s4s"), 6: struct.Struct("=16s16s")}
_SUSPENDED = 0x8000
_TOTAL = struct.Struct("=QQ")
TOTAL_SIZE = _TOTAL.size

KEY_SIZE: Mapping[Family, int] = MappingProxyType({4: _KEY[4].size, 6: _KEY[6].size})
ENTRY_SIZE: Mapping[Family, int] = MappingProxyType(
    {4: _ENTRY.size + _ADDRESSES[4].size, 6: _ENTRY.size + _ADDRESSES[6].size}
)


@dataclass(frozen=True)
class CachedFlow:
    """One direction of a flow: what comes in by an interface, and what the cache makes of it.

    `time` is in jiffies, their lower 32 bits: when the entry ends, or since when it is suspended. `packets` and
    `bytes` (of IP) count what took the fast path.
    """

    protocol: Literal["tcp", "udp"]
    iif: int
    original: FlowTuple
    oif: int
    translated: FlowTuple
    mark: int
    size: int  # bytes of the largest packet that the entry is good for
    suspended: bool
    time: int
    packets: int
    bytes: int


@dataclass(frozen=True)
class Traffic:
    """Packets and bytes that took the fast path."""

    packets: int
    bytes: int


# --------------------------------------------------------------------------- before the load


def constants(*, stage_mask: int, entries: int, cpus: int, longest_ms: int) -> dict[str, int]:
    """The constants of the object. `entries` is the larger of both families', `cpus` the number of possible ones."""
    return {
        "stage_mask": stage_mask,
        "door_mask": doors(entries) - 1,
        "cpu_slots": cpu_slots(cpus),
        "cpu_learns": max(_FEWEST_LEARNS, entries // (_RESIDENCE * cpus)),
        "interval_ms": min(1000, longest_ms),
        "longest_ms": longest_ms,
    }


def sizes(entries: Mapping[Family, int]) -> dict[str, int]:
    """Entries of the maps: directions of flows, two for each."""
    maps = {FLOWS[family]: max(1, entries.get(family, 0)) for family in FLOWS}
    return {**maps, DOORS: doors(max(entries.values()))}


def doors(entries: int) -> int:
    """Two for each entry, and a power of two: with fewer, flows learned at the same time keep each other out."""
    return min(_MOST_DOORS, 2 << max(0, entries - 1).bit_length())


def cpu_slots(cpus: int) -> int:
    """Packets of one CPU that may be on the slow path and teach something; a power of two."""
    return max(_FEWEST_CPU_SLOTS, _SLOTS >> max(0, cpus - 1).bit_length())


# --------------------------------------------------------------------------- generations


def generation_key(ifindex: int | None = None) -> bytes:
    """The index of an interface's generation in GENERATIONS, or of the whole gateway's; values are 32 bits.

    Interfaces whose ifindex has the same low byte share one.
    """
    return struct.pack("=I", 0 if ifindex is None else 1 + (ifindex & 0xFF))


# --------------------------------------------------------------------------- flows


def parse_flow(key: bytes, value: bytes) -> CachedFlow:
    """An element of FLOWS; its family is told by its size."""
    family: Family = 4 if len(key) == KEY_SIZE[4] else 6
    source, destination, ports, place = _KEY[family].unpack(key)
    fields = _ENTRY.unpack_from(value)
    time, _, way, mark, _, translated_ports = fields[:6]
    size, state, packets, octets = fields[8:]
    translated = _ADDRESSES[family].unpack_from(value, _ENTRY.size)
    return CachedFlow(
        "tcp" if _PROTOCOLS[place & 0xFF] == "tcp" else "udp",
        place >> 8,
        _tuple(source, destination, ports),
        way >> 8,
        _tuple(translated[0], translated[1], translated_ports),
        mark,
        size,
        bool(state & _SUSPENDED),
        time,
        packets,
        octets,
    )


def bytes_of(value: bytes) -> int:
    """The bytes counted by an element of FLOWS; parses nothing else."""
    return int.from_bytes(value[_ENTRY.size - 8 : _ENTRY.size], sys.byteorder)


def _tuple(source: bytes, destination: bytes, ports: bytes) -> FlowTuple:
    source_port, destination_port = struct.unpack("!HH", ports)
    return FlowTuple(ip_address(source), source_port, ip_address(destination), destination_port)


# --------------------------------------------------------------------------- counters


def parse_counter(values: bytes) -> int:
    """The sum over all CPUs of an element of COUNTERS, whose index is the place in REASONS."""
    return sum(value for (value,) in struct.iter_unpack("=Q", values))


def parse_way(value: bytes) -> tuple[int, int] | None:
    """In- and out-interface of an element of WAYS, which has the same index as its totals. None: not used."""
    (pair,) = struct.unpack("=Q", value)
    return (pair >> 32, pair & 0xFFFFFFFF) if pair else None


def parse_total(values: bytes) -> Traffic:
    """The sum over all CPUs of an element of TOTALS."""
    return _sum(Traffic(*each) for each in _TOTAL.iter_unpack(values))


def _sum(traffic: Iterable[Traffic]) -> Traffic:
    packets = octets = 0
    for each in traffic:
        packets, octets = packets + each.packets, octets + each.bytes
    return Traffic(packets, octets)


def way_indexes() -> Iterator[bytes]:
    """Keys of WAYS and TOTALS. That of the first is for pairs of interfaces beyond the 1,023 that fit."""
    return (struct.pack("=I", index) for index in range(WAYS_ENTRIES))


def counter_index(reason: str) -> bytes:
    return struct.pack("=I", REASONS.index(reason))
