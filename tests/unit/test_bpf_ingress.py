"""The program at an interface's ingress: what its name and its map say, read back. What it does is in tests/netns."""

from __future__ import annotations

import pytest

from nvi_operator.kernel.bpf import asm, ingress
from nvi_operator.kernel.bpf.ingress import INGRESS, addresses_map


@pytest.mark.parametrize("address", ["203.0.113.2", "0.0.0.1", "2001:db8:a::2", "cb00:7102::", "::1"])
def test_addresses_survive_the_map(address: str) -> None:
    key, value = ingress.as_element(address)
    assert (len(key), len(value)) == (addresses_map(1).key_size, addresses_map(1).value_size)
    assert ingress.parse_element(key, value) == address


def test_addresses_of_two_families_never_share_a_key() -> None:
    assert ingress.as_element("203.0.113.2") != ingress.as_element("cb00:7102::")


def test_the_map_holds_all_addresses() -> None:
    assert [addresses_map(count).entries for count in (0, 1, 64, 65, 10_000)] == [64, 64, 64, 128, 16384]


def test_the_name_says_the_stage_bit() -> None:
    for mask in (1, 1 << 16, 1 << 31):
        assert len(INGRESS.name(mask)) <= 15
        assert INGRESS.stage_mask_of(INGRESS.name(mask)) == mask
    assert INGRESS.stage_mask_of("nvi_egress_1f") is None


def test_stage_bits_make_different_programs() -> None:
    assert not asm.tags(ingress.assemble(1 << 31)) & asm.tags(ingress.assemble(1 << 30))


@pytest.mark.parametrize("mask", [0, 3, 1 << 32])
def test_impossible_masks(mask: int) -> None:
    with pytest.raises(ValueError, match="one bit"):
        ingress.assemble(mask)
