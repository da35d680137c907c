"""Fields of a packet that are neither addresses nor ports: its DSCP, and the mark that it bears on this host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from nvi_operator.dataclass import dataclass
from nvi_operator.language.wording import HintedError, nearest, shown
from nvi_operator.pattern import pattern

# RFC 2474, 2597, 3246, 5865, 8622, with the names that nft has. The first name of a number is the one written.
_NAMES = {f"cs{number}": 8 * number for number in range(8)}
_NAMES |= {f"af{class_}{drop}": 8 * class_ + 2 * drop for class_ in range(1, 5) for drop in range(1, 4)}
_NAMES |= {"ef": 46, "va": 44, "le": 1, "lephb": 1, "df": 0, "be": 0}
DSCP: Mapping[str, int] = MappingProxyType(_NAMES)
_NAME_OF = {number: name for name, number in reversed(_NAMES.items())}
_MARK = pattern(r"(0x[0-9a-f]{1,8}|[0-9]{1,10})(?:/(0x[0-9a-f]{1,8}|[0-9]{1,10}))?", re.IGNORECASE)
WHOLE_MARK = 0xFFFFFFFF


def dscp_name(number: int) -> str:
    """A name, or the number where it has none."""
    return _NAME_OF.get(number, str(number))


def parse_dscp(value: object) -> int:
    """``ef``, ``af41``, ``46``."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str):
        raise ValueError(f"expected a DSCP, found {shown(value)}")
    if (number := DSCP.get(text.lower())) is not None:
        return number
    if text.isascii() and text.isdecimal():
        if len(text) < 3 and int(text) < 64:
            return int(text)
        raise HintedError(f"{shown(text)}: a DSCP is 0 to 63", "the byte of it (ToS) is four times the DSCP")
    close = nearest(text.lower(), DSCP)
    hint = f"did you mean {close!r}?" if close else "write a number, or a name such as ef, af41 or cs1"
    raise HintedError(f"{shown(text)} is not a DSCP", hint)


@dataclass(frozen=True, slots=True)
class Mark:
    """The bits of `mask` in a packet's mark are those of `value`."""

    value: int
    mask: int = WHOLE_MARK

    def excludes(self, other: Mark) -> bool:
        """Is there no packet that has both?"""
        return bool((self.value ^ other.value) & self.mask & other.mask)

    def __str__(self) -> str:
        return f"{self.value:#x}" if self.mask == WHOLE_MARK else f"{self.value:#x}/{self.mask:#x}"


def parse_mark(value: object) -> Mark:
    """``0x10``, ``0x10/0xff``, ``16``."""
    if isinstance(value, Mark):
        return value
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = _MARK.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise HintedError(f"{shown(value)} is not a mark", "write a number, or as in 0x10/0xff to compare some bits")
    number, mask = int(match[1], 0), int(match[2], 0) if match[2] else WHOLE_MARK
    if max(number, mask) > WHOLE_MARK:
        raise ValueError(f"{shown(text)}: a mark has 32 bits")
    if not mask:
        raise ValueError(f"{shown(text)}: a mask of 0 compares nothing")
    if number & ~mask:
        raise ValueError(f"{shown(text)}: no packet matches: {number & ~mask:#x} is outside of the mask")
    return Mark(number, mask)
