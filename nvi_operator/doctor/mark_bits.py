"""What an nft expression does to each bit of a mark: kept, set, cleared, or unknown. Pure and exact."""

from __future__ import annotations

from functools import reduce
from typing import Any

from nvi_operator.dataclass import dataclass

ALL = 0xFFFFFFFF


@dataclass(frozen=True)
class Bits:
    """Three disjoint masks; a bit in none of them may become anything."""

    keep: int = 0
    ones: int = 0
    zeros: int = 0


UNKNOWN = Bits()
MARK = Bits(keep=ALL)


def constant(value: int) -> Bits:
    return Bits(ones=value & ALL, zeros=~value & ALL)


def written(value: Any, connection: Bits = UNKNOWN) -> Bits:
    """The mark after `meta mark set VALUE`, in terms of the mark before; `connection` is the connection's."""
    if isinstance(value, int):
        return constant(value)
    if not isinstance(value, dict):
        return UNKNOWN
    if value.get("meta") == {"key": "mark"}:
        return MARK
    if value.get("ct") == {"key": "mark"}:
        return connection
    for sign, operation in (("&", _and), ("|", _or), ("^", _xor)):
        if sign in value:
            return reduce(operation, (written(operand, connection) for operand in value[sign]))
    if "map" in value:
        data = value["map"].get("data")
        if isinstance(data, dict) and data.get("set"):
            return reduce(_either, (written(element[1], connection) for element in data["set"]))
    return UNKNOWN


def reads_conntrack(value: Any) -> bool:
    """Does the expression need a conntrack entry? Without one the rule ends there (nft_ct.c: NFT_BREAK)."""
    if isinstance(value, dict):
        return "ct" in value or any(reads_conntrack(item) for item in value.values())
    return isinstance(value, list) and any(reads_conntrack(item) for item in value)


def _and(a: Bits, b: Bits) -> Bits:
    zeros = a.zeros | b.zeros
    return Bits((a.keep & (b.ones | b.keep)) | (b.keep & a.ones), a.ones & b.ones, zeros)


def _or(a: Bits, b: Bits) -> Bits:
    ones = a.ones | b.ones
    return Bits((a.keep & (b.zeros | b.keep)) | (b.keep & a.zeros), ones, a.zeros & b.zeros)


def _xor(a: Bits, b: Bits) -> Bits:
    same = (a.ones & b.ones) | (a.zeros & b.zeros) | (a.keep & b.keep)
    return Bits((a.keep & b.zeros) | (b.keep & a.zeros), (a.ones & b.zeros) | (a.zeros & b.ones), same)


def _either(a: Bits, b: Bits) -> Bits:
    return Bits(a.keep & b.keep, a.ones & b.ones, a.zeros & b.zeros)
