"""The program at an interface's ingress: no packet comes in with one of the gateway's own addresses as its source.

`accept_local` lets such packets in, because those of stage 2 may have such a source; the table's anti-spoof guard
(`ruleset/raw.py`) refuses those of stage 1. This program does the same when the table is gone. Every packet passes
it twice, so the cheapest question comes first:

1. with the stage bit: stage 2, received again on its in-interface                            -> passes
2. the frame of a VLAN, which is another interface; one of a priority tag only (VLAN 0) is the interface's own: the
   kernel takes that tag off behind this program, and a second one (__netif_receive_skb_core())
3. not IPv4 or IPv6                                                                           -> passes
4. a source that is not in the map of own addresses                                           -> passes
5. what the gateway sent to a group and the kernel loops back, PACKET_LOOPBACK (dev_loopback_xmit()) -> passes
6. the rest                                                                                   -> ingress_spoofed
"""

from __future__ import annotations

import sys
from ipaddress import IPv6Address, ip_address

from nvi_operator.kernel.bpf import asm
from nvi_operator.kernel.bpf.asm import FP, R0, R1, R6, R7, R9, AsmLine, Label, Order
from nvi_operator.kernel.bpf.guard import (
    IPV4,
    IPV6,
    MARK,
    PKT_TYPE,
    PROTOCOL,
    SOURCE,
    VLAN_PRESENT,
    VLAN_TCI,
    GuardProgram,
    load_bytes,
    look_up,
    one_bit,
    passes,
    refuse,
)
from nvi_operator.kernel.bpf.maps import HASH, NO_PREALLOC, MapInfo
from nvi_operator.kernel.bpf.program import protocol

REASONS = ("ingress_spoofed",)
ADDRESSES = "nvi_addresses"

_LOOPBACK = 5  # PACKET_LOOPBACK, include/uapi/linux/if_packet.h
_VLANS = (0x8100, 0x88A8)
_VLAN_ID, _TAG = 0x0FFF, 4  # 4 bytes: tag, and the type of what follows
_FEWEST = 64

_KEY, _SCRATCH = -24, -32  # on the stack
_MAPPED = b"\0\0\xff\xff"  # an IPv4 address is kept as ::ffff:a.b.c.d, which ip6_rcv_core() never takes as a source


def addresses_map(count: int) -> MapInfo:
    """A table of the smallest power of two that holds so many, because the kernel allocates its buckets at once."""
    return MapInfo(ADDRESSES, HASH, 16, 4, max(_FEWEST, 1 << (count - 1).bit_length()), NO_PREALLOC)


def assemble(stage_mask: int, order: Order = sys.byteorder) -> tuple[AsmLine, ...]:
    """The program for this stage bit. ValueError for a mask that is not one bit."""
    return (
        asm.load(4, R7, R1, MARK),
        asm.and_imm(R7, one_bit(stage_mask)),
        asm.jump_unless(R7, 0, "passes"),
        asm.mov(R6, R1),
        asm.mov_imm(R9, 0),
        asm.load(4, R7, R6, PROTOCOL),
        asm.load(4, R1, R6, VLAN_PRESENT),
        asm.jump_unless(R1, 0, "tagged"),
        Label("untagged"),
        asm.jump_if(R7, protocol(IPV4, order), "source_4"),
        asm.jump_unless(R7, protocol(IPV6, order), "passes"),
        *load_bytes(SOURCE[6], _KEY, 16, R9),
        asm.jump("source"),
        Label("source_4"),
        asm.store_imm(8, FP, _KEY, 0),
        asm.store_imm(4, FP, _KEY + 8, int.from_bytes(_MAPPED, order)),
        *load_bytes(SOURCE[4], _KEY + 12, 4, R9),
        Label("source"),
        asm.jump_unless(R0, 0, "passes"),
        *look_up(ADDRESSES, _KEY, "passes"),
        asm.load(4, R1, R6, PKT_TYPE),
        asm.jump_if(R1, _LOOPBACK, "passes"),
        *refuse("ingress_spoofed", REASONS),
        Label("tagged"),
        asm.load(4, R1, R6, VLAN_TCI),
        asm.and_imm(R1, _VLAN_ID),
        asm.jump_unless(R1, 0, "passes"),
        *(asm.jump_if(R7, protocol(each, order), "tagged_twice") for each in _VLANS),
        asm.jump("untagged"),
        Label("tagged_twice"),
        *load_bytes(0, _SCRATCH, _TAG),
        asm.jump_unless(R0, 0, "passes"),
        asm.load(2, R1, FP, _SCRATCH),
        asm.and_imm(R1, protocol(_VLAN_ID, order)),
        asm.jump_unless(R1, 0, "passes"),
        asm.load(2, R7, FP, _SCRATCH + 2),
        # Three tags, two of them empty: nothing sends that, and its source would not be found.
        *(asm.jump_if(R7, protocol(each, order), "ingress_spoofed") for each in _VLANS),
        asm.mov_imm(R9, _TAG),
        asm.jump("untagged"),
        *passes("passes"),
    )


def as_element(address: str) -> tuple[bytes, bytes]:
    """Key and value of the map."""
    found = ip_address(address)
    return found.packed if found.version == 6 else bytes(8) + _MAPPED + found.packed, bytes(4)


def parse_element(key: bytes, value: bytes) -> str:
    found = IPv6Address(key)
    return str(found.ipv4_mapped or found)


INGRESS = GuardProgram("ingress", REASONS, addresses_map, assemble, as_element, parse_element)
