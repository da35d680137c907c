"""Revisions on the command line: `7`, `last` or `confirmed`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nvi_operator.history.revision import Revision
    from nvi_operator.history.store import History

LAST, CONFIRMED = "last", "confirmed"
_DIGITS = 18  # of numbers that SQLite can look up


def number(text: str) -> str:
    if text in (LAST, CONFIRMED) or (text.isascii() and text.isdecimal() and text.strip("0")):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not a revision: write its number, `last` or `confirmed`")


def find(history: History, text: str) -> Revision:
    """Raises HistoryError."""
    from nvi_operator.history.revision import Standing
    from nvi_operator.history.store import HistoryError

    if text == LAST:
        last = next(iter(history.revisions(1)), None)
        found = history.revision(last.number) if last else None
    elif text == CONFIRMED:
        found = history.newest(Standing.CONFIRMED)
    else:
        digits = text.lstrip("0")
        found = history.revision(int(digits)) if len(digits) <= _DIGITS else None
    if found is None and text == LAST:
        hint = "`nvictl apply` and `nvictl run` make them; trace and explain take a spec with --on DIR as well"
        raise HistoryError("history: there is no revision yet", hint=hint)
    if found is None:
        raise HistoryError(f"history: there is no revision {text}", hint="`nvictl history` lists those that are kept")
    return found
