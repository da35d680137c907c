"""The device's program: its options as constants of the object, and its list of interfaces, there and back."""

from __future__ import annotations

from itertools import product
from typing import Literal

import pytest

from nvi_operator.kernel.bpf import objects, program
from nvi_operator.kinds.tc_program import InInterface, ProgramOptions

IN_INTERFACES: tuple[Literal["mark", "skb_iif"], ...] = ("mark", "skb_iif")
OPTIONS = [
    ProgramOptions(source, mask, tag, hide_hop, flow_cache)
    for source, mask, tag, hide_hop, flow_cache in product(
        IN_INTERFACES, (1, 1 << 31), (1, 0xFFFF), (False, True), (False, True)
    )
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_constants_say_the_options(options: ProgramOptions) -> None:
    about = objects.read(program.OBJECT)
    found = about.values(about.with_values(program.constants(options)))
    assert program.options_of(found) == options


def test_every_constant_is_an_option() -> None:
    assert objects.read(program.OBJECT).constants.keys() - {objects.BUILD} == program.constants(OPTIONS[0]).keys()


@pytest.mark.parametrize("name", ["nvi_device", "nvi_m_1f8123", "nvi_ih00ffff"])
def test_names_of_the_devices_program(name: str) -> None:
    """Of this version, and of those up to 0.1, which an upgrade finds."""
    assert len(program.NAME) <= 15  # BPF_OBJ_NAME_LEN, with its zero
    assert program.is_device(name)


@pytest.mark.parametrize(
    "name", ["", "nvi_", "nvi_m_1f0000", "nvi_m_200001", "nvi_x_1f0001", "nvi_m_1f00010", "nvi_egress_1f", "cil_from"]
)
def test_a_program_of_another_name_is_not_the_devices(name: str) -> None:
    assert not program.is_device(name)


@pytest.mark.parametrize("tag", [0, -1, 0x10000])
def test_a_loop_tag_is_16_bits_and_not_zero(tag: int) -> None:
    with pytest.raises(ValueError, match="16 bits"):
        program.constants(ProgramOptions("mark", 1, tag, False))


@pytest.mark.parametrize("mask", [0, 3, 1 << 32])
def test_a_stage_mask_is_one_bit(mask: int) -> None:
    with pytest.raises(ValueError, match="one bit"):
        program.constants(ProgramOptions("mark", mask, 1, False))


@pytest.mark.parametrize(
    "port", [InInterface(1, None), InInterface(2**31 - 1, "02:00:5e:00:00:ff"), InInterface(7, "00:00:00:00:00:00")]
)
def test_ports_survive_the_map(port: InInterface) -> None:
    key, value = program.port_key(port.ifindex), program.port_value(port.mac)
    assert (len(key), len(value)) == (program.PORTS_MAP.key_size, program.PORTS_MAP.value_size)
    assert program.parse_port(key, value) == port
