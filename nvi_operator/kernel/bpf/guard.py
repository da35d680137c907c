"""What the programs that guard an interface have in common: maps, names, and how they read a packet.

The network header is read by its offset in the skb, so that interfaces without Ethernet header need no other program.
A packet that passes is left to the filters behind (TC_ACT_UNSPEC).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nvi_operator.kernel.bpf import asm
from nvi_operator.kernel.bpf.asm import FP, R0, R1, R2, R3, R4, R5, R6, AsmLine, Label
from nvi_operator.kernel.bpf.maps import PERCPU_ARRAY, MapInfo
from nvi_operator.kernel.bpf.program import count

TcHook = Literal["ingress", "egress"]

# struct __sk_buff, include/uapi/linux/bpf.h
PKT_TYPE, MARK, PROTOCOL, VLAN_PRESENT, VLAN_TCI, INGRESS_IFINDEX = 4, 8, 16, 20, 24, 36
MAP_LOOKUP = 1
IPV4, IPV6 = 0x0800, 0x86DD
SOURCE = {4: 12, 6: 8}  # offsets in the header
COUNTERS = "nvi_refused"

_LOAD_BYTES_RELATIVE = 68
_NETWORK_HEADER = 1  # BPF_HDR_START_NET
_UNSPEC, _SHOT = -1, 2  # TC_ACT_*


@dataclass(frozen=True)
class GuardProgram:
    """One sort of guard. `entries` gives the map for so many; `assemble` the program for a stage bit."""

    hook: TcHook
    reasons: tuple[str, ...]
    entries: Callable[[int], MapInfo]
    assemble: Callable[[int], tuple[AsmLine, ...]]
    as_element: Callable[[Any], tuple[bytes, bytes]]
    parse_element: Callable[[bytes, bytes], Any]

    @property
    def counters(self) -> MapInfo:
        return MapInfo(COUNTERS, PERCPU_ARRAY, 4, 8, len(self.reasons))

    def name(self, stage_mask: int) -> str:
        """The program's name says its stage bit (at most 15 characters), so that it can be read back."""
        return f"nvi_{self.hook}_{stage_mask.bit_length() - 1:02x}"

    def stage_mask_of(self, program_name: str) -> int | None:
        """The stage bit that a name says; None if it is not the name of such a program."""
        match = _NAME.fullmatch(program_name)
        return 1 << int(match[2], 16) if match is not None and match[1] == self.hook else None


_NAME = re.compile(r"nvi_(ingress|egress)_([01][0-9a-f])")


def is_guard(program_name: str) -> bool:
    return _NAME.fullmatch(program_name) is not None


def one_bit(stage_mask: int) -> int:
    """The mask. ValueError for a mask that is not one bit."""
    if stage_mask.bit_count() != 1 or stage_mask > 1 << 31:
        raise ValueError(f"stage mask {stage_mask:#x}: expected one bit of a mark's 32")
    return stage_mask


def load_bytes(offset: int, to: int, size: int, base: int | None = None) -> tuple[AsmLine, ...]:
    """Bytes of the packet to the stack: from the network header, or so far behind it as `base` holds. R0: 0 if done.

    R6 holds the context.
    """
    where = (asm.mov_imm(R2, offset),) if base is None else (asm.mov(R2, base), asm.add_imm(R2, offset))
    return (
        asm.mov(R1, R6),
        *where,
        asm.mov(R3, FP),
        asm.add_imm(R3, to),
        asm.mov_imm(R4, size),
        asm.mov_imm(R5, _NETWORK_HEADER),
        asm.call(_LOAD_BYTES_RELATIVE),
    )


def look_up(map_name: str, key: int, absent: str) -> tuple[AsmLine, ...]:
    """The value of the key at this place of the stack; jumps where there is none."""
    return (
        asm.mov(R2, FP),
        asm.add_imm(R2, key),
        asm.load_map(R1, map_name),
        asm.call(MAP_LOOKUP),
        asm.jump_if_null(R0, absent),
    )


def refuse(reason: str, reasons: Sequence[str]) -> tuple[AsmLine, ...]:
    return (Label(reason), *count(COUNTERS, reason, reasons), asm.mov_imm(R0, _SHOT), asm.leave())


def passes(label: str) -> tuple[AsmLine, ...]:
    return (Label(label), asm.mov_imm(R0, _UNSPEC & 0xFFFFFFFF), asm.leave())
