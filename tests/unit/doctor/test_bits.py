"""The effect of an expression on each bit of a mark."""

from __future__ import annotations

from typing import Any

import pytest

from nvi_operator.doctor.mark_bits import ALL, Bits, reads_conntrack, written
from tests.unit.doctor.nftjson import MARK

STAGE = 0x80000000


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        pytest.param(5, Bits(0, 5, ALL & ~5), id="constant"),
        pytest.param(MARK, Bits(ALL), id="itself"),
        pytest.param({"|": [MARK, 0x4000]}, Bits(ALL & ~0x4000, 0x4000), id="or"),
        pytest.param({"&": [MARK, 0xFF]}, Bits(0xFF, 0, ALL & ~0xFF), id="and"),
        pytest.param(
            {"|": [{"&": [MARK, 0xFF04FFFF]}, 0x40000]},
            Bits(0xFF00FFFF, 0x40000, 0xFB0000),
            id="tailscale, as nft 1.0.6 lists it",
        ),
        pytest.param({"^": [MARK, 0x4000]}, Bits(ALL & ~0x4000), id="xor: the bit is unknown"),
        pytest.param({"^": [{"&": [MARK, ALL & ~1]}, 1]}, Bits(ALL & ~1, 1), id="and, xor: it is set"),
        pytest.param({"|": [MARK, 1, 2]}, Bits(ALL & ~3, 3), id="more than two operands"),
        pytest.param({"ct": {"key": "mark"}}, Bits(), id="from conntrack: unknown"),
        pytest.param({"map": {"key": {}, "data": "@m"}}, Bits(), id="a named map: unknown"),
        pytest.param({"map": {"key": {}, "data": {"set": [["a", 1], ["b", 3]]}}}, Bits(0, 1, ALL & ~3), id="a map"),
    ],
)
def test_each_expression_writes_these_bits_of_a_mark(value: Any, bits: Bits) -> None:
    assert written(value) == bits


@pytest.mark.parametrize("operator", ["&", "|", "^"])
@pytest.mark.parametrize("mark", [0, STAGE, 0xDEADBEEF, ALL])
@pytest.mark.parametrize("operand", [0, 0x4000, 0xFF00FFFF, ALL])
def test_the_masks_agree_with_arithmetic(operator: str, mark: int, operand: int) -> None:
    result = {"&": mark & operand, "|": mark | operand, "^": mark ^ operand}[operator]
    bits = written({operator: [MARK, operand]})
    assert result & bits.keep == mark & bits.keep
    assert result & bits.ones == bits.ones
    assert result & bits.zeros == 0


def test_what_needs_a_conntrack_entry_is_seen_at_any_depth() -> None:
    assert reads_conntrack({"&": [{"ct": {"key": "mark"}}, 0xFF]})
    assert not reads_conntrack({"&": [MARK, 0xFF]})
