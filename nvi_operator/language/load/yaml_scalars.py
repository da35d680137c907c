"""Plain scalars by the core schema of YAML 1.2.2 (chapter 10.3.2): null, booleans, numbers; all else is text."""

from __future__ import annotations

from typing import Any

from nvi_operator.language.wording import HintedError, shown
from nvi_operator.pattern import pattern

MAX_DIGITS = 20  # more than any number of a spec; Python itself stops at 4300

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{sign + word: float(f"{sign}inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_NUMBER = pattern(
    r"(?P<int>[-+]?[0-9]+)|(?P<oct>0o[0-7]+)|(?P<hex>0x[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)"
)
_FIRST = frozenset("0123456789+-.~nNtTfF")


class AmbiguousScalar(HintedError):  # noqa: N818  -- it is no fault of the program
    """Text that readers of YAML take for different numbers, or for none."""


def may_be_other_than_text(text: str) -> bool:
    """A quick no for what cannot be null, a boolean or a number."""
    return not text or text[0] in _FIRST


def value_of(text: str) -> Any:
    """The value of a plain scalar. Raises AmbiguousScalar for 010 and the like."""
    if text in _WORDS:
        return _WORDS[text]
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    if len(text) > MAX_DIGITS and match.lastgroup != "float":
        raise AmbiguousScalar(f"{shown(text)} is too large a number", "put it in quotes if it is text")
    if match["int"]:
        return _decimal(text)
    if match["oct"]:
        return int(text[2:], 8)
    if match["hex"]:
        return int(text[2:], 16)
    return float(text)


def _decimal(text: str) -> int:
    number = int(text)
    digits = text.lstrip("+-")
    if len(digits) == 1 or digits[0] != "0":
        return number
    octal = set(digits) <= set("01234567") and number != 0
    raise AmbiguousScalar(
        f"{text} is ambiguous: an octal number to YAML 1.1, {number} to YAML 1.2"
        if octal
        else f"{text} is ambiguous: text to some readers of YAML, {number} to others",
        f"write {number}, or 0o{digits.lstrip('0')} for octal, or quote it if it is text"
        if octal
        else f"write {number}, or quote it if it is text",
    )
