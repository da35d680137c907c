"""Jenkins' hash as the kernel has it (include/linux/jhash.h): rules spread flows by it, source NAT picks addresses.

Words are little-endian here, as on every machine that the operator is packaged for but s390x.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_MASK = 0xFFFFFFFF
_INIT = 0xDEADBEEF


def _rol(word: int, by: int) -> int:
    return (word << by | word >> (32 - by)) & _MASK


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for left, right in ((4, 0), (6, 1), (8, 2), (16, 0), (19, 1), (4, 2)):
        match right:
            case 0:
                a = (a - c) & _MASK ^ _rol(c, left)
                c = (c + b) & _MASK
            case 1:
                b = (b - a) & _MASK ^ _rol(a, left)
                a = (a + c) & _MASK
            case _:
                c = (c - b) & _MASK ^ _rol(b, left)
                b = (b + a) & _MASK
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    c = ((c ^ b) - _rol(b, 14)) & _MASK
    a = ((a ^ c) - _rol(c, 11)) & _MASK
    b = ((b ^ a) - _rol(a, 25)) & _MASK
    c = ((c ^ b) - _rol(b, 16)) & _MASK
    a = ((a ^ c) - _rol(c, 4)) & _MASK
    b = ((b ^ a) - _rol(a, 14)) & _MASK
    return ((c ^ b) - _rol(b, 24)) & _MASK


def jhash2(words: Sequence[int], seed: int) -> int:
    """The hash of words of 32 bits."""
    a = b = c = (_INIT + (len(words) << 2) + seed) & _MASK
    left = list(words)
    while len(left) > 3:
        a, b, c = (a + left[0]) & _MASK, (b + left[1]) & _MASK, (c + left[2]) & _MASK
        a, b, c = _mix(a, b, c)
        left = left[3:]
    if not left:
        return c
    padded = [*left, 0, 0][:3]
    return _final((a + padded[0]) & _MASK, (b + padded[1]) & _MASK, (c + padded[2]) & _MASK)


def jhash(data: bytes, seed: int) -> int:
    """The hash of bytes, a multiple of four of them."""
    return jhash2(struct.unpack(f"<{len(data) // 4}I", data), seed)


def scaled(value: int, below: int) -> int:
    """reciprocal_scale()."""
    return value * below >> 32
