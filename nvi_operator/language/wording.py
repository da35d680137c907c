"""Words of messages: values as their author knows them, and what was probably meant. None is longer than a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from nvi_operator.pattern import pattern

AS_A_LIST = "write several as a list: [a, b]"

LONGEST_NAME = 255  # of a file: what is longer, no file is called

_ALIKE = 0.65  # of difflib's ratio: `tpc` is like `tcp` (0.67), and `health` not like `default` (0.62)
_NUMBER = pattern(r"([0-9]+)")
_SHOWN = 60
_NAMES = 8


class HintedError(ValueError):
    """What is wrong with a value, and what to do about it where only the parser of that value can tell."""

    def __init__(self, message: str, hint: str | Callable[[], str]) -> None:
        """A `hint` that takes long is a function, called when needed: of 200,000 wrong values for a few only."""
        super().__init__(message)
        self._hint = hint

    @property
    def hint(self) -> str:
        return self._hint if isinstance(self._hint, str) else self._hint()


def counted(number: int, noun: str, plural: str = "s") -> str:
    """`1 rule`, `2 rules`; `plural` is the noun's ending."""
    return f"{number} {noun}{'' if number == 1 else plural}"


def shown(value: Any) -> str:
    """A value as its author knows it, in a message: YAML's words, and not too long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value) if isinstance(value, str | int | float) else f"'{value}'"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 4] + "..." + text[-1]


def short(text: str, most: int = _SHOWN) -> str:
    """Text that needs no quotes, cut where it is too long for a message: files of entries may hold anything."""
    return text if len(text) <= most else text[: most - 3] + "..."


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that was probably meant: a slip of the finger, and not another word that looks alike."""
    return _nearest(name, tuple(names))


@lru_cache(maxsize=256)  # a wrong name is often wrong in every row
def _nearest(name: str, names: tuple[str, ...]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, names, n=1, cutoff=_ALIKE)), None)


def in_order(names: Iterable[str]) -> list[str]:
    """As people count: isp-2 before isp-10."""
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in _NUMBER.split(name)])


def first_to_last(names: Iterable[str], noun: str, plural: str = "s") -> str:
    """Many names by their ends: `isp-01 ... isp-20 (20 uplinks)`."""
    first, *_, last = ordered = in_order(names)
    return f"{first} ... {last} ({counted(len(ordered), noun, plural)})"


def listed(names: Iterable[str]) -> str:
    """What can be chosen from, as far as it fits."""
    several = sorted(names)
    return ", ".join(several[:_NAMES]) + (", ..." if len(several) > _NAMES else "")
