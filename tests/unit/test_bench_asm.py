"""The assembler of the benchmark's generator: encodings in both byte orders, and jumps."""

from __future__ import annotations

import pytest

from bench.dataplane import asm
from bench.dataplane.asm import FP, R0, R1, R2, R6, AsmLine, Ins, Label

# (what, little endian, big endian), by RFC 9669: opcode, registers, offset, immediate
ENCODINGS = [
    (asm.load(4, R1, R6, 44), "61 61 2c00 00000000", "61 16 002c 00000000"),
    (asm.load(2, R2, FP, -8), "69 a2 f8ff 00000000", "69 2a fff8 00000000"),
    (asm.load(1, R1, R0, 6), "71 01 0600 00000000", "71 10 0006 00000000"),
    (asm.load(8, R1, R0, 0), "79 01 0000 00000000", "79 10 0000 00000000"),
    (asm.store(4, FP, -4, R1), "63 1a fcff 00000000", "63 a1 fffc 00000000"),
    (asm.store(8, R0, 0, R1), "7b 10 0000 00000000", "7b 01 0000 00000000"),
    (asm.store_imm(4, FP, -4, 5), "62 0a fcff 05000000", "62 a0 fffc 00000005"),
    (asm.store_imm(8, FP, -8, 0), "7a 0a f8ff 00000000", "7a a0 fff8 00000000"),
    (asm.mov(R6, R1), "bf 16 0000 00000000", "bf 61 0000 00000000"),
    (asm.mov_imm(R1, 0x80000000), "b4 01 0000 00000080", "b4 10 0000 80000000"),
    (asm.add_imm(R2, -4), "07 02 0000 fcffffff", "07 20 0000 fffffffc"),
    (asm.and_imm(R2, 0x7FFFFFFF), "54 02 0000 ffffff7f", "54 20 0000 7fffffff"),
    (asm.shift_left(R2, 2), "64 02 0000 02000000", "64 20 0000 00000002"),
    (asm.call(23), "85 00 0000 17000000", "85 00 0000 00000017"),
    (asm.leave(), "95 00 0000 00000000", "95 00 0000 00000000"),
]


@pytest.mark.parametrize(("line", "little", "big"), ENCODINGS)
def test_an_instruction_is_encoded_in_both_byte_orders(line: Ins, little: str, big: str) -> None:
    assert asm.encode([line], {}, "little") == bytes.fromhex(little)
    assert asm.encode([line], {}, "big") == bytes.fromhex(big)


def test_a_map_takes_two_slots() -> None:
    line = asm.load_map(R1, "m")
    assert asm.slots([line, Label("x")]) == 2
    assert asm.encode([line], {"m": 7}, "little") == bytes.fromhex("18 11 0000 07000000 0000000000000000")
    assert asm.encode([line], {"m": 7}, "big") == bytes.fromhex("18 11 0000 00000007 0000000000000000")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (asm.jump("end"), 0x05),
        (asm.jump_if(R1, 0, "end"), 0x16),
        (asm.jump_unless(R1, 0, "end"), 0x56),
        (asm.jump_if_null(R0, "end"), 0x15),
        (asm.jump_if_any(R1, 6, "end"), 0x46),
        (asm.jump_if_shared(R1, R2, "end"), 0x4E),
    ],
)
def test_jumps_count_slots_from_the_next_instruction(line: Ins, code: int) -> None:
    lines: list[AsmLine] = [line, asm.load_map(R1, "m"), asm.leave(), Label("end"), asm.leave()]
    encoded = asm.encode(lines, {"m": 1}, "little")
    assert encoded[0] == code
    assert int.from_bytes(encoded[2:4], "little", signed=True) == 3


def test_jumps_backwards_are_negative() -> None:
    encoded = asm.encode([Label("start"), asm.leave(), asm.jump("start")], {}, "big")
    assert int.from_bytes(encoded[10:12], "big", signed=True) == -2


def test_a_label_that_is_nowhere() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        asm.encode([asm.jump("nowhere")], {})
