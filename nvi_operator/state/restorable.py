"""Keys and values that a file may name as settings to restore: the file says to root what to write where."""

from __future__ import annotations

_LONGEST_NAME = 15  # bytes; IFNAMSIZ, linux/if.h


def is_ifname(text: str) -> bool:
    """May an interface have this name? As dev_valid_name() of the kernel decides."""
    return (
        0 < len(text.encode(errors="surrogateescape")) <= _LONGEST_NAME
        and text not in (".", "..")
        and not any(sign in "/:" or sign.isspace() or sign == "\0" for sign in text)
    )


def is_number(text: str, end: int) -> bool:
    """A decimal number from 0 to `end`, exclusive, of at most 10 digits."""
    return len(text) <= 10 and text.isascii() and text.isdecimal() and int(text) < end
