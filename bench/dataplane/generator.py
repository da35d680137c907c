"""UDP packets made in the kernel and received on an interface of the gateway, and what their way costs.

One CPU does it all, so that the time of a fixed number of packets is what they cost: an XDP program writes
each frame again (the stack changed the one before it), and the stack takes it from there, list by list, as it
does from the NAPI of a network card.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType

from bench.dataplane import asm, bpf
from bench.dataplane.asm import FP, R0, R1, R2, R6, R7, R8, R9, AsmLine, Ins, Label
from nvi_operator.kernel.bpf import syscall
from nvi_operator.kernel.bpf.maps import MapInfo
from tests.lab.host import Host
from tests.lab.packets import checksum

FRAME = 60  # bytes, of IPv4: 64 with the checksum on a wire; IPv6 has 20 more
_ETH, _UDP, _DONT_FRAGMENT = 14, 17, 0x4000
_CHECKSUM = _ETH + 10  # of the IPv4 header
_SENDER = bytes.fromhex("020000000001")
_ARRAY = 2  # BPF_MAP_TYPE_ARRAY
_COUNTER = MapInfo("bench_counter", _ARRAY, 4, 8, 1)
_MAP_LOOKUP = 1  # bpf_map_lookup_elem()
_DROP, _PASS = 1, 2  # XDP_DROP, XDP_PASS

# What the assembler of the operator has no need for.
_JGT_REG, _ADD_REG, _RSH_IMM, _XOR_IMM, _TO_BE = 0x2D, 0x0F, 0x77, 0xA7, 0xDC


@dataclass(frozen=True)
class Varying:
    """A 16-bit word of the headers: `first` for flow 0, then one more for each, up to `number` of them."""

    first: int
    number: int = 1  # a power of two
    every: int = 1  # flows have the same one, a power of two


@dataclass(frozen=True)
class Flows:
    """UDP flows. The last 16 bits of addresses vary, so that no packet has the route of the one before it."""

    source: str
    destination: str
    sources: int
    destinations: int
    source_port: Varying
    destination_port: Varying

    @property
    def version(self) -> int:
        return ip_address(self.source).version

    def words(self) -> tuple[Varying, Varying, Varying, Varying]:
        """What varies: source and destination address, source and destination port."""
        last = (int.from_bytes(ip_address(a).packed[-2:], "big") for a in (self.source, self.destination))
        source, destination = (Varying(w, n) for w, n in zip(last, (self.sources, self.destinations), strict=True))
        return source, destination, self.source_port, self.destination_port


@dataclass(frozen=True)
class Cost:
    """Nanoseconds for one packet: of CPU time, which other processes do not affect, and of wall time."""

    cpu: float
    wall: float


def frame(flows: Flows, mac: str) -> bytes:
    """Flow 0's. The payload begins with the complement of each word that varies: one UDP checksum fits all."""
    addresses = ip_address(flows.source).packed + ip_address(flows.destination).packed
    complements = struct.pack("!4H", *(word.first ^ 0xFFFF for word in flows.words()))
    payload = complements + bytes(FRAME - _ETH - 28 - len(complements))
    length = 8 + len(payload)
    ports = struct.pack("!HHH", flows.source_port.first, flows.destination_port.first, length)
    pseudo = addresses + struct.pack("!IHBB", length, 0, 0, _UDP)
    datagram = ports + struct.pack("!H", checksum(pseudo + ports + bytes(2) + payload) or 0xFFFF) + payload
    if flows.version == 4:
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, _DONT_FRAGMENT, 64, _UDP, 0) + addresses
        header = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    else:
        header = struct.pack("!IHBB", 6 << 28, length, _UDP, 64) + addresses
    ethertype = 0x0800 if flows.version == 4 else 0x86DD
    return bytes.fromhex(mac.replace(":", "")) + _SENDER + struct.pack("!H", ethertype) + header + datagram


def program(template: bytes, flows: Flows) -> tuple[AsmLine, ...]:
    """Write the template, then what the next flow has different."""
    return (
        asm.load(4, R6, R1, 0),  # data
        asm.load(4, R7, R1, 4),  # data_end
        asm.mov(R1, R6),
        asm.add_imm(R1, len(template)),
        Ins(_JGT_REG, R1, R7, jump="short"),
        asm.store_imm(4, FP, -4, 0),
        asm.mov(R2, FP),
        asm.add_imm(R2, -4),
        asm.load_map(R1, _COUNTER.name),
        asm.call(_MAP_LOOKUP),
        asm.jump_if_null(R0, "short"),
        asm.load(8, R8, R0, 0),
        asm.mov(R9, R8),
        asm.add_imm(R9, 1),
        asm.store(8, R0, 0, R9),
        *(asm.store_imm(4, R6, at, *struct.unpack_from("=i", template, at)) for at in range(0, len(template), 4)),
        *_varied(template, flows),
        asm.mov_imm(R0, _PASS),
        asm.leave(),
        Label("short"),
        asm.mov_imm(R0, _DROP),
        asm.leave(),
    )


def _varied(template: bytes, flows: Flows) -> Iterator[AsmLine]:
    """R8: the flow's number; R7: the sum of the IPv4 header. Words are numbers until they are stored."""
    ports = _ETH + (20 if flows.version == 4 else 40)
    places = (ports - (6 if flows.version == 4 else 18), ports - 2, ports, ports + 2)
    words = flows.words()
    fixed = _sum(template[_ETH:ports]) - _sum(template[_CHECKSUM : _CHECKSUM + 2]) - words[0].first - words[1].first
    yield asm.mov_imm(R7, fixed)
    for number, (word, place) in enumerate(zip(words, places, strict=True)):
        yield asm.mov(R1, R8)
        if word.every > 1:
            yield Ins(_RSH_IMM, R1, imm=word.every.bit_length() - 1)
        yield asm.and_imm(R1, word.number - 1)
        yield asm.add_imm(R1, word.first)
        if number < 2:
            yield Ins(_ADD_REG, R7, R1)
        yield asm.mov(R2, R1)
        yield Ins(_XOR_IMM, R2, imm=0xFFFF)
        yield from _stored(R1, place)
        yield from _stored(R2, ports + 8 + 2 * number)
    if flows.version == 4:
        for _ in range(2):  # fold the carry in
            yield asm.mov(R1, R7)
            yield Ins(_RSH_IMM, R1, imm=16)
            yield asm.and_imm(R7, 0xFFFF)
            yield Ins(_ADD_REG, R7, R1)
        yield Ins(_XOR_IMM, R7, imm=0xFFFF)
        yield from _stored(R7, _CHECKSUM)


def _stored(register: int, place: int) -> tuple[AsmLine, AsmLine]:
    return Ins(_TO_BE, register, imm=16), asm.store(2, R6, place, register)


def _sum(data: bytes) -> int:
    return sum(struct.unpack(f"!{len(data) // 2}H", data))


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

    def send(self, packets: int, *, batch: int) -> Cost:
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
