"""The program at an uplink's egress: what its name and its map say, read back. What it does is in tests/netns."""

from __future__ import annotations

import pytest

from nvi_operator.kernel.bpf import egress
from nvi_operator.kinds.egress_guard import GuardEntry, PrefixRole

ENTRIES = [
    GuardEntry("source", "0.0.0.0/0", rules=1),
    GuardEntry("source", "203.0.113.16/28", PrefixRole.OWN),
    GuardEntry("source", "192.168.1.0/24", PrefixRole.INSIDE, 1 << 31),
    GuardEntry("destination", "10.9.0.0/16", rules=3),
    GuardEntry("source", "2001:db8:a::2/128", PrefixRole.OTHER),
    GuardEntry("destination", "::/0", rules=2),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.side} {entry.network}")
def test_entries_survive_the_map(entry: GuardEntry) -> None:
    key, value = egress.as_element(entry)
    assert (len(key), len(value)) == (egress.PREFIXES_MAP.key_size, egress.PREFIXES_MAP.value_size)
    assert egress.parse_element(key, value) == entry


def test_a_filter_is_known_by_its_name() -> None:
    """Every version of the operator gives it the same one, so that an upgrade and a downgrade find it."""
    assert [egress.EGRESS.name(mask) for mask in (1, 1 << 16, 1 << 31)] == [
        "nvi_egress_00",
        "nvi_egress_10",
        "nvi_egress_1f",
    ]
    assert all(egress.EGRESS.is_own(egress.EGRESS.name(1 << bit)) for bit in range(32))
    assert not any(map(egress.EGRESS.is_own, ("nvi_mh1f8001", "nvi_egress_2f", "nvi_ingress_1f", "nvi_egress")))


@pytest.mark.parametrize("mask", [0, 3, 1 << 32])
def test_a_stage_mask_is_one_bit(mask: int) -> None:
    with pytest.raises(ValueError, match="one bit"):
        egress.EGRESS.constants(mask)
