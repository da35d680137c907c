"""The program at an interface's egress: nothing leaves untranslated, even without the table and the FIB rules.

It decides by addresses, in one map of prefixes (`kinds/egress_guard.py`); the longest match counts:

1. not IPv4 or IPv6, or the frame of a VLAN, which is another interface                       -> leaves
2. a source of this uplink                                                                    -> leaves
   but for the gateway's own answers that end a flow, a TCP reset or an ICMP destination unreachable, without
   the stage bit, which the table gives them: without the table the gateway answers for addresses that it
   translates otherwise, and connections that outlive the table's absence would end                -> egress_reset
3. the gateway's own packet (skb->ingress_ifindex is 0: no interface received it; tunnels clear it,
   skb_scrub_packet()): with an inside source                                                 -> egress_untranslated
   with a source of another uplink                                                            -> egress_wrong_uplink
   any other, and IPv6 neighbour discovery and multicast whatever the source                  -> leaves
   At an inside interface only the question of 2. is asked: its map has the sources of all uplinks, and lets the rest
   leave.
4. forwarded: with the stage bit, and a rule of the spec has its bit at source and destination -> leaves
   with an inside source                                                                      -> egress_untranslated
   any other                                                                                  -> egress_foreign
"""

from __future__ import annotations

import struct
import sys
from ipaddress import ip_address, ip_network
from typing import Literal

from nvi_operator.kernel.bpf import asm
from nvi_operator.kernel.bpf.asm import FP, R0, R1, R6, R7, R8, R9, AsmLine, Label, Order
from nvi_operator.kernel.bpf.guard import (
    INGRESS_IFINDEX,
    IPV4,
    IPV6,
    MARK,
    PROTOCOL,
    SOURCE,
    VLAN_PRESENT,
    GuardProgram,
    load_bytes,
    look_up,
    one_bit,
    passes,
    refuse,
)
from nvi_operator.kernel.bpf.maps import LPM_TRIE, NO_PREALLOC, MapInfo
from nvi_operator.kernel.bpf.program import protocol
from nvi_operator.kinds.egress_guard import GuardEntry, Standing
from nvi_operator.language.model.values import Family

REASONS = ("egress_untranslated", "egress_foreign", "egress_wrong_uplink", "egress_reset")

PREFIXES = "nvi_prefixes"
# struct bpf_lpm_trie_key: the length in bits, then what is matched: side and family in a byte, and an address. The
# last three bytes are there because the value follows them, and is read in words of 4 bytes.
_ELEMENT = struct.Struct("=IB16s3x")
PREFIXES_MAP = MapInfo(PREFIXES, LPM_TRIE, _ELEMENT.size, 8, 1 << 17, NO_PREALLOC)  # -> standing, lines

_DESTINATION = {4: 16, 6: 24}
_FRAGMENT, _PROTOCOL_4, _NEXT_HEADER, _IPV6_HEADER = 6, 9, 6, 40
_TCP, _ICMP, _ICMPV6 = 6, 1, 58
_TCP_FLAGS, _RST = 13, 4
_UNREACHABLE, _FRAGMENTATION_NEEDED, _UNREACHABLE_6 = 3, 4, 1  # ICMP type and code, ICMPv6 type
_NEIGHBOUR_DISCOVERY = (133, 135, 136)  # router and neighbour solicitations, neighbour advertisements

_KEY, _SCRATCH = -32, -40  # on the stack
_SIDES = {("source", 4): 0, ("source", 6): 1, ("destination", 4): 2, ("destination", 6): 3}
_BITS = {4: 32, 6: 128}


def assemble(stage_mask: int, order: Order = sys.byteorder) -> tuple[AsmLine, ...]:
    """The program for this stage bit. ValueError for a mask that is not one bit."""
    one_bit(stage_mask)
    return (
        asm.mov(R6, R1),
        asm.load(4, R1, R6, VLAN_PRESENT),
        asm.jump_unless(R1, 0, "leaves"),
        asm.store_imm(8, FP, _KEY, 0),
        asm.store_imm(8, FP, _KEY + 8, 0),
        asm.store_imm(8, FP, _KEY + 16, 0),
        asm.load(4, R7, R6, PROTOCOL),
        asm.jump_if(R7, protocol(IPV4, order), "source_4"),
        asm.jump_unless(R7, protocol(IPV6, order), "leaves"),
        *_key("source", 6),
        asm.jump("source"),
        Label("source_4"),
        *_key("source", 4),
        Label("source"),
        *look_up(PREFIXES, _KEY, "foreign"),
        asm.load(4, R8, R0, 0),
        asm.load(4, R9, R0, 4),
        asm.jump("known"),
        Label("foreign"),
        asm.mov_imm(R8, 0),
        asm.mov_imm(R9, 0),
        Label("known"),
        asm.jump_if_any(R8, Standing.OWN, "own_source"),
        asm.jump_if_any(R8, Standing.FREE, "leaves"),
        asm.load(4, R1, R6, INGRESS_IFINDEX),
        asm.jump_unless(R1, 0, "forwarded"),
        asm.jump_if(R8, 0, "leaves"),
        asm.jump_if(R7, protocol(IPV4, order), "own_refused"),
        *_unless_neighbour_discovery(),
        Label("own_refused"),
        asm.jump_if_any(R8, Standing.INSIDE, "egress_untranslated"),
        asm.jump("egress_wrong_uplink"),
        Label("forwarded"),
        asm.load(4, R1, R6, MARK),
        asm.and_imm(R1, stage_mask),
        asm.jump_if(R1, 0, "forwarded_refused"),
        asm.jump_if(R9, 0, "forwarded_refused"),
        asm.jump_if(R7, protocol(IPV4, order), "destination_4"),
        *_key("destination", 6),
        asm.jump("destination"),
        Label("destination_4"),
        *_key("destination", 4),
        Label("destination"),
        *look_up(PREFIXES, _KEY, "forwarded_refused"),
        asm.load(4, R1, R0, 4),
        asm.jump_if_shared(R1, R9, "leaves"),
        asm.jump("forwarded_refused"),
        *_own_source(stage_mask, order),
        Label("forwarded_refused"),
        asm.jump_if_any(R8, Standing.INSIDE, "egress_untranslated"),
        *refuse("egress_foreign", REASONS),
        *refuse("egress_untranslated", REASONS),
        *refuse("egress_wrong_uplink", REASONS),
        *refuse("egress_reset", REASONS),
        *passes("leaves"),
    )


def _own_source(stage_mask: int, order: Order) -> tuple[AsmLine, ...]:
    """Leaves, unless it is an answer of the gateway itself that the table has not seen."""
    return (
        Label("own_source"),
        asm.load(4, R1, R6, INGRESS_IFINDEX),
        asm.jump_unless(R1, 0, "leaves"),
        asm.load(4, R1, R6, MARK),
        asm.and_imm(R1, stage_mask),
        asm.jump_unless(R1, 0, "leaves"),
        asm.jump_if(R7, protocol(IPV4, order), "answer_4"),
        *_load_byte(_NEXT_HEADER),
        asm.mov_imm(R9, _IPV6_HEADER),
        asm.jump_if(R1, _TCP, "answer_tcp"),
        asm.jump_unless(R1, _ICMPV6, "leaves"),
        *_load_byte(_IPV6_HEADER),
        asm.jump_if(R1, _UNREACHABLE_6, "egress_reset"),
        asm.jump("leaves"),
        Label("answer_4"),
        *_load_byte(_FRAGMENT, size=2),
        asm.and_imm(R1, protocol(0x1FFF, order)),
        asm.jump_unless(R1, 0, "leaves"),
        *_load_byte(0),
        asm.mov(R9, R1),
        asm.and_imm(R9, 0x0F),
        asm.shift_left(R9, 2),
        *_load_byte(_PROTOCOL_4),
        asm.jump_if(R1, _TCP, "answer_tcp"),
        asm.jump_unless(R1, _ICMP, "leaves"),
        *_load_byte(0, base=R9),
        asm.jump_unless(R1, _UNREACHABLE, "leaves"),
        *_load_byte(1, base=R9),
        asm.jump_if(R1, _FRAGMENTATION_NEEDED, "leaves"),
        asm.jump("egress_reset"),
        Label("answer_tcp"),
        *_load_byte(_TCP_FLAGS, base=R9),
        asm.jump_if_any(R1, _RST, "egress_reset"),
        asm.jump("leaves"),
    )


def _key(side: Literal["source", "destination"], family: Family) -> tuple[AsmLine, ...]:
    """An address of the packet as a key of the map; without a whole header the packet is foreign."""
    offset = (SOURCE if side == "source" else _DESTINATION)[family]
    return (
        asm.store_imm(4, FP, _KEY, 8 + _BITS[family]),
        asm.store_imm(1, FP, _KEY + 4, _SIDES[side, family]),
        *load_bytes(offset, _KEY + 5, _BITS[family] // 8),
        asm.jump_unless(R0, 0, "foreign" if side == "source" else "forwarded_refused"),
    )


def _unless_neighbour_discovery() -> tuple[AsmLine, ...]:
    """And unless it is multicast. Neighbour discovery has no extension headers (RFC 6980)."""
    return (
        *_load_byte(_DESTINATION[6]),
        asm.jump_if(R1, 0xFF, "leaves"),
        *_load_byte(_NEXT_HEADER),
        asm.jump_unless(R1, _ICMPV6, "own_refused"),
        *_load_byte(_IPV6_HEADER),
        *(asm.jump_if(R1, kind, "leaves") for kind in _NEIGHBOUR_DISCOVERY),
    )


def _load_byte(offset: int, *, base: int | None = None, size: Literal[1, 2] = 1) -> tuple[AsmLine, ...]:
    """A byte of the packet, or two, into R1: from the network header, or so far behind it as `base` holds."""
    return (
        asm.store_imm(8, FP, _SCRATCH, 0),
        *load_bytes(offset, _SCRATCH, size, base),
        asm.load(size, R1, FP, _SCRATCH),
    )


# --------------------------------------------------------------------------- elements of the map


def as_element(entry: GuardEntry) -> tuple[bytes, bytes]:
    """Key and value of the map."""
    network = ip_network(entry.network)
    side = _SIDES[entry.side, network.version]
    key = _ELEMENT.pack(8 + network.prefixlen, side, network.network_address.packed)
    return key, struct.pack("=II", entry.standing, entry.rules)


def parse_element(key: bytes, value: bytes) -> GuardEntry:
    bits, number, address = _ELEMENT.unpack(key)
    side, family = next(pair for pair, each in _SIDES.items() if each == number)
    standing, lines = struct.unpack("=II", value)
    packed = address if family == 6 else address[:4]
    network = f"{ip_address(packed)}/{bits - 8}"
    return GuardEntry("source" if side == "source" else "destination", network, Standing(standing), lines)


EGRESS = GuardProgram("egress", REASONS, lambda count: PREFIXES_MAP, assemble, as_element, parse_element)
