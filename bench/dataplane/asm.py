"""A small eBPF assembler: instructions as data, jumps by label. Encoding: RFC 9669."""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Order = Literal["little", "big"]

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, FP = range(11)

_LDX_MEM, _ST_MEM, _STX_MEM = 0x61, 0x62, 0x63  # of 32 bits; the size is in bits 3 and 4
_SIZES = {4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18}
_ALU64_IMM, _ALU64_REG, _ALU32_IMM = 0x07, 0x0F, 0x04
_ADD, _AND, _LSH, _MOV = 0x00, 0x50, 0x60, 0xB0
_JA, _JEQ_IMM, _JNE_IMM, _CALL, _EXIT = 0x05, 0x15, 0x55, 0x85, 0x95
_JEQ32_IMM, _JSET32_IMM, _JNE32_IMM, _JSET32_REG = 0x16, 0x46, 0x56, 0x4E
_LD_IMM64 = 0x18
_PSEUDO_MAP_FD = 1


@dataclass(frozen=True)
class Label:
    """A place to jump to."""

    name: str


@dataclass(frozen=True)
class Ins:
    """One instruction; `jump` names a label, `map_name` a map whose file descriptor is filled in at load."""

    code: int
    dst: int = 0
    src: int = 0
    off: int = 0
    imm: int = 0
    jump: str | None = None
    map_name: str | None = None


AsmLine = Ins | Label


def load(size: int, dst: int, src: int, off: int) -> Ins:
    return Ins(_LDX_MEM | _SIZES[size], dst, src, off)


def store(size: int, dst: int, off: int, src: int) -> Ins:
    return Ins(_STX_MEM | _SIZES[size], dst, src, off)


def store_imm(size: int, dst: int, off: int, value: int) -> Ins:
    return Ins(_ST_MEM | _SIZES[size], dst, 0, off, value)


def mov(dst: int, src: int) -> Ins:
    return Ins(_ALU64_REG | _MOV, dst, src)


def mov_imm(dst: int, value: int) -> Ins:
    """Sets the lower 32 bits and clears the upper."""
    return Ins(_ALU32_IMM | _MOV, dst, 0, 0, value)


def add_imm(dst: int, value: int) -> Ins:
    return Ins(_ALU64_IMM | _ADD, dst, 0, 0, value)


def and_imm(dst: int, value: int) -> Ins:
    """Of the lower 32 bits; the upper become 0."""
    return Ins(_ALU32_IMM | _AND, dst, 0, 0, value)


def shift_left(dst: int, bits: int) -> Ins:
    """Of the lower 32 bits; the upper become 0."""
    return Ins(_ALU32_IMM | _LSH, dst, 0, 0, bits)


def jump(label: str) -> Ins:
    return Ins(_JA, jump=label)


def jump_if(reg: int, value: int, label: str) -> Ins:
    return Ins(_JEQ32_IMM, reg, 0, 0, value, jump=label)


def jump_unless(reg: int, value: int, label: str) -> Ins:
    return Ins(_JNE32_IMM, reg, 0, 0, value, jump=label)


def jump_if_any(reg: int, bits: int, label: str) -> Ins:
    """Is any of these bits set?"""
    return Ins(_JSET32_IMM, reg, 0, 0, bits, jump=label)


def jump_if_shared(reg: int, other: int, label: str) -> Ins:
    """Have the two registers a bit in common?"""
    return Ins(_JSET32_REG, reg, other, jump=label)


def jump_if_null(reg: int, label: str) -> Ins:
    return Ins(_JEQ_IMM, reg, jump=label)


def call(helper: int) -> Ins:
    return Ins(_CALL, imm=helper)


def leave() -> Ins:
    return Ins(_EXIT)


def load_map(dst: int, name: str) -> Ins:
    """Two slots long."""
    return Ins(_LD_IMM64, dst, _PSEUDO_MAP_FD, map_name=name)


def slots(lines: Sequence[AsmLine]) -> int:
    return sum(0 if isinstance(line, Label) else 2 if line.code == _LD_IMM64 else 1 for line in lines)


def encode(lines: Sequence[AsmLine], fds: dict[str, int], order: Order = sys.byteorder) -> bytes:
    """Machine code. KeyError for a label or map that there is none of."""
    places: dict[str, int] = {}
    at = 0
    for line in lines:
        if isinstance(line, Label):
            places[line.name] = at
        else:
            at += slots([line])
    code = bytearray()
    at = 0
    for line in lines:
        if isinstance(line, Label):
            continue
        at += slots([line])
        off = places[line.jump] - at if line.jump is not None else line.off
        imm = fds[line.map_name] if line.map_name is not None else line.imm
        code += _slot(line.code, line.dst, line.src, off, imm, order)
        if line.code == _LD_IMM64:
            code += _slot(0, 0, 0, 0, 0, order)
    return bytes(code)


def _slot(code: int, dst: int, src: int, off: int, imm: int, order: Order) -> bytes:
    registers = src << 4 | dst if order == "little" else dst << 4 | src
    signed = imm - (1 << 32) if imm >= 1 << 31 else imm
    return struct.pack("<BBhi" if order == "little" else ">BBhi", code, registers, off, signed)
