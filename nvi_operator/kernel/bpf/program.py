"""The program at the egress of the NAT virtual interface: what nvi0's transmit function is for the module.

A packet that leaves by the device is received again on the interface it first came in by, so that it
takes its second pass. The order of the checks is the contract of both dataplanes:

1. here for the second time (skb->tc_index holds our tag, out of reach of nft and ip rules)    -> loop
2. without the stage bit, which only the mark hook at the end of our POSTROUTING sets          -> no_stage_bit
3. not IPv4 or IPv6                                                                            -> other
4. in-interface: from the mark, or skb->ingress_ifindex; 0 means the gateway itself, whose own packets
   (ICMP errors) come back in by the device. They need no entry in the map and no other MAC: of a device
   without ARP the kernel writes its own address as destination (arp_constructor(), ndisc_constructor())
5. an in-interface of no gateway's                                                             -> no_device
6. the frame gets that interface's MAC as destination: else eth_type_trans() makes it OTHERHOST. The
   source stays the device's own MAC, by which a tap tells the second pass from the first. For an
   interface without Ethernet header bpf_redirect() strips it (__bpf_redirect_no_mac())
7. bpf_redirect(ifindex, BPF_F_INGRESS), which drops the route and the conntrack entry, keeps the mark

What it cannot know: bpf_redirect() acts after the program has ended, so that a packet for an interface
that is down or has just gone counts as reinjected, and is then dropped by the kernel.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Sequence

from nvi_operator.kernel.bpf import asm
from nvi_operator.kernel.bpf.asm import FP, R0, R1, R2, R3, R4, R5, R6, R7, AsmLine, Label, Order
from nvi_operator.kernel.bpf.maps import HASH, PERCPU_ARRAY, MapInfo
from nvi_operator.kinds.tc_program import InInterface, ProgramOptions

REASONS = ("reinjected", "no_stage_bit", "no_device", "loop", "other")

PORTS, COUNTERS = "nvi_ports", "nvi_counters"
PORTS_MAP = MapInfo(PORTS, HASH, 4, 8, 4096)  # ifindex -> MAC, and whether frames have one
COUNTERS_MAP = MapInfo(COUNTERS, PERCPU_ARRAY, 4, 8, len(REASONS))

# struct __sk_buff, include/uapi/linux/bpf.h
_MARK, _PROTOCOL, _INGRESS_IFINDEX, _IFINDEX, _TC_INDEX = 8, 16, 36, 40, 44
_MAP_LOOKUP, _STORE_BYTES, _L3_CSUM_REPLACE, _REDIRECT, _LOAD_BYTES, _SET_HASH_INVALID = 1, 9, 10, 23, 26, 41
_SHOT = 2  # TC_ACT_SHOT
_INGRESS = 1  # BPF_F_INGRESS
_IPV4, _IPV6 = 0x0800, 0x86DD
_ETH = 14
_TTL, _CHECKSUM, _HOP_LIMIT = _ETH + 8, _ETH + 10, _ETH + 7


def protocol(ethertype: int, order: Order) -> int:
    """skb->protocol is a __be16: what a machine of that order reads."""
    return int.from_bytes(ethertype.to_bytes(2, "big"), order)


def assemble(options: ProgramOptions, order: Order = sys.byteorder) -> tuple[AsmLine, ...]:
    """The program for these options; equal options give equal instructions. ValueError for impossible ones."""
    if not 0 < options.loop_tag <= 0xFFFF:
        raise ValueError(f"loop tag {options.loop_tag}: a packet's tc_index has 16 bits, and 0 is every fresh packet")
    if options.stage_mask.bit_count() != 1 or options.stage_mask > 1 << 31:
        raise ValueError(f"stage mask {options.stage_mask:#x}: expected one bit of a mark's 32")
    return (
        asm.mov(R6, R1),
        asm.load(4, R1, R6, _TC_INDEX),
        asm.jump_if(R1, options.loop_tag, "loop"),
        asm.load(4, R1, R6, _MARK),
        asm.mov(R2, R1),
        asm.and_imm(R2, options.stage_mask),
        asm.jump_if(R2, 0, "no_stage_bit"),
        asm.load(4, R2, R6, _PROTOCOL),
        asm.jump_if(R2, protocol(_IPV4, order), "ip"),
        asm.jump_unless(R2, protocol(_IPV6, order), "other"),
        Label("ip"),
        *_in_interface(options),
        asm.jump_if(R7, 0, "self"),
        asm.store(4, FP, -4, R7),
        asm.mov(R2, FP),
        asm.add_imm(R2, -4),
        asm.load_map(R1, PORTS),
        asm.call(_MAP_LOOKUP),
        asm.jump_if_null(R0, "no_device"),
        asm.load(1, R1, R0, 6),
        asm.jump_if(R1, 0, "addressed"),
        asm.mov(R1, R6),
        asm.mov_imm(R2, 0),
        asm.mov(R3, R0),
        asm.mov_imm(R4, 6),
        asm.mov_imm(R5, 0),
        asm.call(_STORE_BYTES),
        asm.jump("addressed"),
        Label("self"),
        asm.load(4, R7, R6, _IFINDEX),
        Label("addressed"),
        *(_one_hop_back(order) if options.hide_hop else ()),
        asm.mov(R1, R6),
        asm.call(_SET_HASH_INVALID),  # it was that of the addresses before NAT
        *((asm.mov_imm(R1, options.stage_mask), asm.store(4, R6, _MARK, R1)) if options.source == "mark" else ()),
        asm.mov_imm(R1, options.loop_tag),
        asm.store(4, R6, _TC_INDEX, R1),
        *count(COUNTERS, "reinjected", REASONS),
        asm.mov(R1, R7),
        asm.mov_imm(R2, _INGRESS),
        asm.call(_REDIRECT),
        asm.leave(),
        *(line for reason in ("loop", "no_stage_bit", "no_device", "other") for line in _refuse(reason)),
    )


def _in_interface(options: ProgramOptions) -> tuple[AsmLine, ...]:
    if options.source == "mark":
        return (asm.mov(R7, R1), asm.and_imm(R7, 0xFFFFFFFF & ~options.stage_mask))
    return (asm.load(4, R7, R6, _INGRESS_IFINDEX),)


def count(counters: str, reason: str, reasons: Sequence[str]) -> tuple[AsmLine, ...]:
    """One packet more for this reason, in the map `counters`, whose index is the place in `reasons`."""
    return (
        asm.store_imm(4, FP, -4, reasons.index(reason)),
        asm.mov(R2, FP),
        asm.add_imm(R2, -4),
        asm.load_map(R1, counters),
        asm.call(_MAP_LOOKUP),
        asm.jump_if_null(R0, f"counted_{reason}"),
        asm.load(8, R1, R0, 0),
        asm.add_imm(R1, 1),
        asm.store(8, R0, 0, R1),
        Label(f"counted_{reason}"),
    )


def _refuse(reason: str) -> tuple[AsmLine, ...]:
    return (Label(reason), *count(COUNTERS, reason, REASONS), asm.mov_imm(R0, _SHOT), asm.leave())


def _one_hop_back(order: Order) -> tuple[AsmLine, ...]:
    """TTL or hop limit + 1, for the one that the second pass takes; 255 stays 255."""
    return (
        asm.load(4, R1, R6, _PROTOCOL),
        asm.jump_if(R1, protocol(_IPV6, order), "hop_6"),
        *_load_bytes(_TTL, 2),
        asm.load(2, R3, FP, -8),  # TTL and protocol, one word of the checksum
        asm.load(1, R1, FP, -8),
        asm.jump_if(R1, 255, "hop_done"),
        asm.add_imm(R1, 1),
        asm.store(1, FP, -8, R1),
        asm.load(2, R4, FP, -8),
        asm.mov(R1, R6),
        asm.mov_imm(R2, _CHECKSUM),
        asm.mov_imm(R5, 2),
        asm.call(_L3_CSUM_REPLACE),
        *_store_byte(_TTL),
        asm.jump("hop_done"),
        Label("hop_6"),
        *_load_bytes(_HOP_LIMIT, 1),
        asm.load(1, R1, FP, -8),
        asm.jump_if(R1, 255, "hop_done"),
        asm.add_imm(R1, 1),
        asm.store(1, FP, -8, R1),
        *_store_byte(_HOP_LIMIT),
        Label("hop_done"),
    )


def _load_bytes(offset: int, size: int) -> tuple[AsmLine, ...]:
    return (
        asm.store_imm(8, FP, -8, 0),
        asm.mov(R1, R6),
        asm.mov_imm(R2, offset),
        asm.mov(R3, FP),
        asm.add_imm(R3, -8),
        asm.mov_imm(R4, size),
        asm.call(_LOAD_BYTES),
    )


def _store_byte(offset: int) -> tuple[AsmLine, ...]:
    return (
        asm.mov(R1, R6),
        asm.mov_imm(R2, offset),
        asm.mov(R3, FP),
        asm.add_imm(R3, -8),
        asm.mov_imm(R4, 1),
        asm.mov_imm(R5, 0),
        asm.call(_STORE_BYTES),
    )


# --------------------------------------------------------------------------- what is kept in the kernel's names

_NAME = re.compile(r"nvi_([mi])([h_])([01][0-9a-f])((?!0000)[0-9a-f]{4})")


def name(options: ProgramOptions) -> str:
    """The program's name says its options (at most 15 characters), so that they can be read back."""
    source = "m" if options.source == "mark" else "i"
    hop = "h" if options.hide_hop else "_"
    return f"nvi_{source}{hop}{options.stage_mask.bit_length() - 1:02x}{options.loop_tag:04x}"


def options_of(program_name: str) -> ProgramOptions | None:
    """The options that a name says; None if it is no name of the operator's."""
    match = _NAME.fullmatch(program_name)
    if match is None:
        return None
    source, hop, bit, tag = match.groups()
    return ProgramOptions("mark" if source == "m" else "skb_iif", 1 << int(bit, 16), int(tag, 16), hop == "h")


def port_key(ifindex: int) -> bytes:
    return struct.pack("=I", ifindex)


def port_value(mac: str | None) -> bytes:
    """MAC, then 1 if frames have one."""
    return bytes(8) if mac is None else bytes.fromhex(mac.replace(":", "")) + b"\x01\x00"


def parse_port(key: bytes, value: bytes) -> InInterface:
    (ifindex,) = struct.unpack("=I", key)
    return InInterface(ifindex, value[:6].hex(":") if value[6] else None)
