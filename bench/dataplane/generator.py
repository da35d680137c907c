"""UDP packets made in the kernel and received on an interface of the gateway, and what their way costs.

One CPU does it all, so that the time of a fixed number of packets is what they cost: an XDP program writes
each frame anew (the stack changed the one before it), and the stack takes it from there, list by list, as it
does from the NAPI of a network card.
"""

from __future__ import annotations

import os
import struct
import time
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType

from bench.dataplane import bpf
from nvi_operator.kernel.bpf import asm, syscall
from nvi_operator.kernel.bpf.asm import FP, R0, R1, R2, R6, R7, R8, R9, Ins, Label, Line
from nvi_operator.kernel.bpf.maps import MapInfo
from tests.lab.host import Host
from tests.lab.packets import udp

FRAME = 64  # bytes, with what a wire adds as checksum: 60
_ETH = 14
_ARRAY = 2  # BPF_MAP_TYPE_ARRAY
_COUNTER = MapInfo("bench_counter", _ARRAY, 4, 8, 1)
_DROP, _PASS = 1, 2  # XDP_DROP, XDP_PASS

# What the assembler of the operator has no need for.
_JGT_REG, _XOR_IMM, _TO_BE, _ADD_REG = 0x2D, 0xA7, 0xDC, 0x0F


@dataclass(frozen=True)
class Flows:
    """`number` UDP flows, a power of two, that differ in one port; `vary` says which."""

    source: str
    destination: str
    source_port: int
    destination_port: int
    number: int
    vary: str = "source"  # or "destination"


@dataclass(frozen=True)
class Cost:
    """Of one packet, in nanoseconds: of CPU time, which others' work does not touch, and of the clock's."""

    cpu: float
    wall: float


def frame(flows: Flows, mac: str) -> bytes:
    payload = FRAME - 4 - _ETH - 28 if ":" not in flows.source else 18
    version = ip_address(flows.source).version
    base = flows.source_port if flows.vary == "source" else flows.destination_port
    # The two bytes after the UDP header are the complement of the port that changes, so that the checksum
    # is the same for each.
    data = struct.pack("!H", base ^ 0xFFFF) + bytes(payload - 2)
    packet = bytearray(udp(flows.source, flows.destination, flows.destination_port, payload=data))
    at = 20 if version == 4 else 40
    struct.pack_into("!H", packet, at, flows.source_port)
    packet = bytearray(_with_checksum(bytes(packet), at))
    ethertype = 0x0800 if version == 4 else 0x86DD
    return bytes.fromhex(mac.replace(":", "")) + b"\x02\0\0\0\0\x01" + struct.pack("!H", ethertype) + packet


def _with_checksum(packet: bytes, at: int) -> bytes:
    from tests.lab.packets import checksum

    addresses = packet[12:20] if at == 20 else packet[8:40]
    (length,) = struct.unpack_from("!H", packet, at + 4)
    body = packet[at : at + 6] + b"\0\0" + packet[at + 8 :]
    total = checksum(addresses + struct.pack("!IHBB", length, 0, 0, 17) + body)
    return packet[: at + 6] + struct.pack("!H", total or 0xFFFF) + packet[at + 8 :]


def program(template: bytes, flows: Flows) -> tuple[Line, ...]:
    """Write the template, and the next flow's port."""
    at = _ETH + (20 if ip_address(flows.source).version == 4 else 40)
    port = at if flows.vary == "source" else at + 2
    base = flows.source_port if flows.vary == "source" else flows.destination_port
    lines: list[Line] = [
        asm.load(4, R6, R1, 0),  # data
        asm.load(4, R7, R1, 4),  # data_end
        asm.mov(R1, R6),
        asm.add_imm(R1, len(template)),
        Ins(_JGT_REG, R1, R7, jump="short"),
        asm.store_imm(4, FP, -4, 0),
        asm.mov(R2, FP),
        asm.add_imm(R2, -4),
        asm.load_map(R1, _COUNTER.name),
        asm.call(1),
        Ins(0x15, R0, jump="short"),
        asm.load(8, R8, R0, 0),
        asm.mov(R9, R8),
        asm.add_imm(R9, 1),
        asm.store(8, R0, 0, R9),
    ]
    for offset in range(0, len(template) // 4 * 4, 4):
        (word,) = struct.unpack_from("=i", template, offset)
        lines.append(asm.store_imm(4, R6, offset, word))
    lines += [
        asm.and_imm(R8, flows.number - 1),
        asm.add_imm(R8, base),
        asm.mov(R9, R8),
        Ins(_XOR_IMM, R9, imm=0xFFFF),
        Ins(_TO_BE, R8, imm=16),
        Ins(_TO_BE, R9, imm=16),
        asm.store(2, R6, port, R8),
        asm.store(2, R6, at + 8, R9),
        asm.mov_imm(R0, _PASS),
        asm.leave(),
        Label("short"),
        asm.mov_imm(R0, _DROP),
        asm.leave(),
    ]
    return tuple(lines)


class Generator:
    """Sends `flows` into an interface of the gateway. While it is open the interface has an XDP program.

    The kernel wants one there before it takes the interface for the place of receipt (xdp_rxq_info).
    """

    def __init__(self, gateway: Host, ifname: str, flows: Flows, cpu: int) -> None:
        self._gateway, self._cpu = gateway, cpu
        self._ifindex = int(gateway.run("cat", f"/sys/class/net/{ifname}/ifindex").stdout)
        self._frame = frame(flows, gateway.mac(ifname))
        self._map = syscall.create_map(_COUNTER)
        lines = program(self._frame, flows)
        self._program = bpf.load_xdp(asm.encode(lines, {_COUNTER.name: self._map}), "bench_udp")
        receive = bpf.load_xdp(asm.encode([asm.mov_imm(R0, _PASS), asm.leave()], {}), "bench_receive")
        self._link = gateway.call(bpf.attach_xdp, receive, self._ifindex)
        os.close(receive)

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for fd in (self._link, self._program, self._map):
            os.close(fd)

    def send(self, packets: int, *, batch: int = 64) -> Cost:
        """The first packet is the first flow's."""
        syscall.update(self._map, struct.pack("=I", 0), bytes(8))
        return self._gateway.call(self._send, packets, batch)

    def _send(self, packets: int, batch: int) -> Cost:
        os.sched_setaffinity(0, {self._cpu})  # of this thread
        softirq = softirq_clock(self._cpu)
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns() + time.clock_gettime_ns(softirq)
        bpf.run_live(self._program, self._frame, self._ifindex, times=packets, batch=batch)
        cpu = time.thread_time_ns() + time.clock_gettime_ns(softirq) - cpu
        return Cost(cpu / packets, (time.perf_counter_ns() - wall) / packets)


@cache
def softirq_clock(cpu: int) -> int:
    """The CPU clock of the thread that takes over when there is much to receive.

    As clock_getcpuclockid(3) makes it: Python has that for threads of its own only.
    """
    for entry in Path("/proc").glob("[0-9]*/comm"):
        if entry.read_text().strip() == f"ksoftirqd/{cpu}":
            return (~int(entry.parent.name) << 3) | 2
    raise RuntimeError(f"there is no ksoftirqd/{cpu}")
