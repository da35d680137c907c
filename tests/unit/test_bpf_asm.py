"""The assembler: encodings in both byte orders, jumps, tags; and what the program is made of."""

from __future__ import annotations

import hashlib
from itertools import product
from typing import Literal

import pytest

from nvi_operator.kernel.bpf import asm, program
from nvi_operator.kernel.bpf.asm import FP, R0, R1, R2, R6, AsmLine, Ins, Label, Order
from nvi_operator.kinds.tc_program import InInterface, ProgramOptions

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
def test_encoding(line: Ins, little: str, big: str) -> None:
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


def test_tags_are_of_the_code_without_maps() -> None:
    lines = [asm.load_map(R1, "m"), asm.leave()]
    code = asm.encode(lines, {"m": 0})
    assert asm.tags(lines) == {hashlib.sha1(code).digest()[:8], hashlib.sha256(code).digest()[:8]}
    assert asm.tags(lines) == asm.tags([asm.load_map(R1, "another"), asm.leave()])
    assert asm.tags(lines).isdisjoint(asm.tags([asm.load_map(R2, "m"), asm.leave()]))


# --------------------------------------------------------------------------- the program

IN_INTERFACES: tuple[Literal["mark", "skb_iif"], ...] = ("mark", "skb_iif")
OPTIONS = [
    ProgramOptions(source, mask, tag, hide_hop)
    for source, mask, tag, hide_hop in product(IN_INTERFACES, (1, 1 << 31), (1, 0xFFFF), (False, True))
]


@pytest.mark.parametrize("options", OPTIONS, ids=program.name)
def test_the_name_says_the_options(options: ProgramOptions) -> None:
    name = program.name(options)
    assert len(name) <= 15  # BPF_OBJ_NAME_LEN, with its zero
    assert program.options_of(name) == options


@pytest.mark.parametrize(
    "name", ["", "nvi_", "nvi_m_1f0000", "nvi_m_200001", "nvi_x_1f0001", "nvi_m_1f00010", "cil_from_netdev"]
)
def test_names_that_are_not_ours(name: str) -> None:
    assert program.options_of(name) is None


def test_options_make_different_programs() -> None:
    tags = {tag for options in OPTIONS for tag in asm.tags(program.assemble(options))}
    assert len(tags) == 2 * len(OPTIONS)


@pytest.mark.parametrize("tag", [0, -1, 0x10000])
def test_impossible_tags(tag: int) -> None:
    with pytest.raises(ValueError, match="16 bits"):
        program.assemble(ProgramOptions("mark", 1, tag, False))


@pytest.mark.parametrize("mask", [0, 3, 1 << 32])
def test_impossible_masks(mask: int) -> None:
    with pytest.raises(ValueError, match="one bit"):
        program.assemble(ProgramOptions("mark", mask, 1, False))


@pytest.mark.parametrize(("order", "ipv4", "ipv6"), [("little", 0x0008, 0xDD86), ("big", 0x0800, 0x86DD)])
def test_protocols_are_read_in_network_order(order: Order, ipv4: int, ipv6: int) -> None:
    lines = program.assemble(OPTIONS[1], order)
    compared = {line.imm for line in lines if isinstance(line, Ins) and line.jump in ("ip", "other", "hop_6")}
    assert compared == {ipv4, ipv6}


@pytest.mark.parametrize(
    "port", [InInterface(1, None), InInterface(2**31 - 1, "02:00:5e:00:00:ff"), InInterface(7, "00:00:00:00:00:00")]
)
def test_ports_survive_the_map(port: InInterface) -> None:
    key, value = program.port_key(port.ifindex), program.port_value(port.mac)
    assert (len(key), len(value)) == (program.PORTS_MAP.key_size, program.PORTS_MAP.value_size)
    assert program.parse_port(key, value) == port
