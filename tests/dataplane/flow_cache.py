"""The flow cache's programs at interfaces of a namespace, without the operator: loaded, attached, read."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from pyroute2 import IPRoute

from bench.dataplane import asm
from nvi_operator.kernel.bpf import flow_cache, objects, program, syscall, tcx
from nvi_operator.kernel.bpf.attach import Mechanism
from nvi_operator.kernel.bpf.clsact import Clsact, Filter
from nvi_operator.kernel.bpf.flow_cache import CachedFlow, Traffic
from nvi_operator.kernel.bpf.live import opened_maps, read_constants
from nvi_operator.kernel.bpf.maps import HASH, MapInfo
from nvi_operator.kernel.bpf.tcx import Hook
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.language.model.values import Family
from nvi_operator.state.flow import FlowTuple
from nvi_operator.store.saved_settings import SavedSettings

_ETH_P_ALL = 3
_PARENTS: dict[Hook, int] = {"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3}


def next_generation(value: bytes) -> bytes:
    (number,) = struct.unpack("=I", value)
    return struct.pack("=I", (number + 1) & 0xFFFFFFFF)


def flow_key(protocol: str, iif: int, original: FlowTuple) -> bytes:
    """The key of a direction of a flow in a map of FLOWS."""
    ports = struct.pack("!HH", original.source_port, original.destination_port)
    place = iif << 8 | {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}[protocol]
    return original.source.packed + original.destination.packed + ports + struct.pack("=I", place)


class Namespace(Protocol):
    """A namespace of either laboratory."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any: ...


class FlowCache:
    """Closed with `close`; programs stay attached until their interfaces are gone."""

    def __init__(
        self,
        namespace: Namespace,
        mechanism: Mechanism,
        *,
        conntrack: bool = True,
        entries: int = 1024,
        stage_mask: int = 1 << 31,
        **constants: int,
    ) -> None:
        self._namespace, self._mechanism = namespace, mechanism
        self._stack = ExitStack()
        self._cpus = syscall.possible_cpus()
        values = flow_cache.constants(stage_mask=stage_mask, entries=entries, cpus=self._cpus, longest_ms=10_000)
        name = flow_cache.OBJECT_WITH_CONNTRACK if conntrack else flow_cache.OBJECT
        sizes = flow_cache.sizes({4: entries, 6: entries})
        self._loaded = self._stack.enter_context(objects.load(name, constants={**values, **constants}, sizes=sizes))

    def close(self) -> None:
        self._stack.close()

    def attach(self, *ifnames: str, clean: bool = False) -> None:
        """Before what is attached there already; `clean`: the programs that cache nothing."""
        names = (flow_cache.CLEAN_IN, flow_cache.CLEAN_OUT) if clean else (flow_cache.IN, flow_cache.OUT)
        for ifname in ifnames:
            self._namespace.call(self._attach, ifname, "ingress", names[0])
            self._namespace.call(self._attach, ifname, "egress", names[1])

    def _attach(self, ifname: str, hook: Hook, name: str) -> None:
        fd = self._loaded.programs[name]
        with IPRoute(ext_ack=True) as ipr:
            (ifindex,) = ipr.link_lookup(ifname=ifname)
            if self._mechanism == "tcx":
                tcx.attach(ifindex, hook, fd, "first", tcx.programs(ifindex, hook).revision)
                return
            _make_clsact(ipr, ifindex)
            for other in _filters(ifindex, hook):
                moved = syscall.program_fd(other.program)
                _put(ipr, ifindex, hook, moved, other.name, other.preference + 10)
                os.close(moved)
                place = {"parent": _PARENTS[hook], "prio": other.preference, "protocol": _ETH_P_ALL}
                ipr.tc("del-filter", "bpf", ifindex, f":{other.handle}", **place)
            _put(ipr, ifindex, hook, fd, name, 1)

    def detach(self, *ifnames: str) -> None:
        """All programs at these interfaces."""
        for ifname in ifnames:
            self._namespace.call(self._detach, ifname)

    def _detach(self, ifname: str) -> None:
        ifindex = socket.if_nametoindex(ifname)
        if self._mechanism == "clsact":
            with IPRoute(ext_ack=True) as ipr:
                ipr.tc("del", "clsact", ifindex)
            return
        hooks: tuple[Hook, ...] = ("ingress", "egress")
        for hook in hooks:
            for number in tcx.programs(ifindex, hook).programs:
                fd = syscall.program_fd(number)
                tcx.detach(ifindex, hook, fd, tcx.programs(ifindex, hook).revision)
                os.close(fd)

    # ---------------------------------------------------------------- what it counted

    def flows(self, family: Family = 4) -> list[CachedFlow]:
        fd = self._loaded.maps[flow_cache.FLOWS[family]]
        found = []
        for key in list(syscall.keys(fd, flow_cache.KEY_SIZE[family])):
            value = syscall.lookup(fd, key, flow_cache.ENTRY_SIZE[family])
            if value is not None:
                found.append(flow_cache.parse_flow(key, value))
        return found

    def forget(self, flow: CachedFlow) -> None:
        """One direction, as if it had given way to others."""
        family: Family = 4 if flow.original.source.version == 4 else 6
        key = flow_key(flow.protocol, flow.iif, flow.original)
        syscall.delete(self._loaded.maps[flow_cache.FLOWS[family]], key)

    def counters(self) -> dict[str, int]:
        """All that are not 0, by reason."""
        fd = self._loaded.maps[flow_cache.COUNTERS]
        counted = {}
        for reason in flow_cache.REASONS:
            raw = syscall.lookup(fd, flow_cache.counter_index(reason), 8 * self._cpus)
            assert raw is not None
            if number := flow_cache.parse_counter(raw):
                counted[reason] = number
        return counted

    def count(self, reason: str) -> int:
        assert reason in flow_cache.REASONS
        return self.counters().get(reason, 0)

    def totals(self) -> dict[tuple[int, int], Traffic]:
        """By in- and out-interface."""
        ways, totals = self._loaded.maps[flow_cache.WAYS], self._loaded.maps[flow_cache.TOTALS]
        found = {}
        for index in flow_cache.way_indexes():
            value = syscall.lookup(ways, index, 8)
            assert value is not None
            if (way := flow_cache.parse_way(value)) is not None:
                raw = syscall.lookup(totals, index, 16 * self._cpus)
                assert raw is not None
                found[way] = flow_cache.parse_total(raw)
        return found

    def hits(self) -> int:
        return sum(each.packets for each in self.totals().values())

    # ---------------------------------------------------------------- what user space says

    def invalidate(self, ifindex: int | None = None) -> None:
        fd, key = self._loaded.maps[flow_cache.GENERATIONS], flow_cache.generation_key(ifindex)
        value = syscall.lookup(fd, key, 4)
        assert value is not None
        syscall.update(fd, key, next_generation(value))

    def exhaust_slots(self) -> None:
        """Let packets that never come out have all of them, for the next minutes."""
        self._set_slots(_jiffies() + 100_000)

    def free_slots(self) -> None:
        self._set_slots(0)

    def _set_slots(self, busy: int) -> None:
        fd = self._loaded.maps[flow_cache.SLOTS]
        for index in range(4096):
            syscall.update(fd, struct.pack("=I", index), struct.pack("=Q40sI12x", 0, b"", busy & 0xFFFFFFFF))


def _jiffies() -> int:
    lines = Path("/proc/timer_list").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("jiffies:"))


def leave_tag(namespace: Namespace, ifname: str, tag: int) -> None:
    """Have every packet leave with this tc_index."""
    code = [asm.mov_imm(asm.R2, tag), asm.store(4, asm.R1, _TC_INDEX, asm.R2), asm.mov_imm(asm.R0, -1), asm.leave()]
    _run(namespace, ifname, "egress", code)


def refuse_tags(namespace: Namespace, ifname: str) -> None:
    """Drop packets that come with a tc_index."""
    code: list[asm.AsmLine] = [
        asm.load(4, asm.R2, asm.R1, _TC_INDEX),
        asm.mov_imm(asm.R0, 0),
        asm.jump_if(asm.R2, 0, "end"),
        asm.mov_imm(asm.R0, 2),  # TC_ACT_SHOT
        asm.Label("end"),
        asm.leave(),
    ]
    _run(namespace, ifname, "ingress", code)


@contextmanager
def hashes_leaving(namespace: Namespace, ifname: str) -> Iterator[Callable[[], set[bytes]]]:
    """The hashes of the packets that are forwarded there, by which queues tell flows apart."""
    seen = syscall.create_map(MapInfo("test_hashes", HASH, 4, 4, 1024))
    code: list[asm.AsmLine] = [
        asm.load(4, asm.R2, asm.R1, _INGRESS_IFINDEX),
        asm.jump_if(asm.R2, 0, "end"),
        asm.call(_GET_HASH_RECALC),
        asm.store(4, asm.FP, -4, asm.R0),
        asm.store_imm(4, asm.FP, -8, 0),
        asm.load_map(asm.R1, "seen"),
        asm.mov(asm.R2, asm.FP),
        asm.add_imm(asm.R2, -4),
        asm.mov(asm.R3, asm.FP),
        asm.add_imm(asm.R3, -8),
        asm.mov_imm(asm.R4, 0),
        asm.call(_MAP_UPDATE_ELEM),
        asm.Label("end"),
        asm.mov_imm(asm.R0, -1),
        asm.leave(),
    ]
    try:
        _run(namespace, ifname, "egress", code, {"seen": seen})
        yield lambda: set(syscall.keys(seen, 4))
    finally:
        os.close(seen)


_INGRESS_IFINDEX, _TC_INDEX = 36, 44  # struct __sk_buff
_MAP_UPDATE_ELEM, _GET_HASH_RECALC = 2, 34  # enum bpf_func_id


def _run(
    namespace: Namespace, ifname: str, hook: Hook, code: list[asm.AsmLine], maps: dict[str, int] | None = None
) -> None:
    fd = syscall.load_program(asm.encode(code, maps or {}), "test_tags")

    def attach() -> None:
        with IPRoute(ext_ack=True) as ipr:
            ifindex = socket.if_nametoindex(ifname)
            _make_clsact(ipr, ifindex)
            _put(ipr, ifindex, hook, fd, "test_tags", 100)  # behind what the cache may have there

    try:
        namespace.call(attach)
    finally:
        os.close(fd)


def _make_clsact(ipr: Any, ifindex: int) -> None:
    """The cache has one where it is attached by no tcx."""
    if not any(q.get("kind") == "clsact" for q in ipr.get_qdiscs(index=ifindex)):
        ipr.tc("add", "clsact", ifindex)


def _filters(ifindex: int, hook: Hook) -> list[Filter]:
    with Rtnetlink() as rtnetlink:
        return list(Clsact(None, rtnetlink, SavedSettings(0)).filters(hook, ifindex))


def _put(ipr: Any, ifindex: int, hook: Hook, fd: int, name: str, preference: int) -> None:
    place = {"parent": _PARENTS[hook], "prio": preference, "protocol": _ETH_P_ALL, "classid": 1}
    ipr.tc("replace-filter", "bpf", ifindex, ":1", fd=fd, name=name, direct_action=True, **place)


def retag(namespace: Namespace, device: str) -> None:
    """Have the device's program keep the cache's tags."""

    def change() -> None:
        with IPRoute(ext_ack=True) as ipr:
            (ifindex,) = ipr.link_lookup(ifname=device)
            (live,) = _filters(ifindex, "egress")
            with opened_maps(live.program) as maps:
                found = read_constants(program.OBJECT, maps, (program.PORTS_MAP, program.COUNTERS_MAP))
                assert found is not None
                kept = {name: maps[name] for name in (program.PORTS, program.COUNTERS)}
                with objects.load(program.OBJECT, constants={**found, "flow_cache": 1}, reuse=kept) as loaded:
                    _put(ipr, ifindex, "egress", loaded.programs[program.NAME], live.name, 1)

    namespace.call(change)
