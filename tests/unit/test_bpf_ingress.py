"""The program at an interface's ingress: what its name and its map say, read back. What it does is in tests/netns."""

from __future__ import annotations

import pytest

from nvi_operator.kernel.bpf import ingress
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


def test_a_filter_is_known_by_its_name() -> None:
    """Every version of the operator gives it the same one, so that an upgrade and a downgrade find it."""
    assert [INGRESS.name(mask) for mask in (1, 1 << 16, 1 << 31)] == [
        "nvi_ingress_00",
        "nvi_ingress_10",
        "nvi_ingress_1f",
    ]
    assert all(INGRESS.is_own(INGRESS.name(1 << bit)) for bit in range(32))
    assert not any(map(INGRESS.is_own, ("nvi_mh1f8001", "nvi_ingress_2f", "nvi_egress_1f", "nvi_ingress")))


@pytest.mark.parametrize("mask", [0, 3, 1 << 32])
def test_a_stage_mask_is_one_bit(mask: int) -> None:
    with pytest.raises(ValueError, match="one bit"):
        INGRESS.constants(mask)
