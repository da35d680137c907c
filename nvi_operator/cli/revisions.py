"""Revisions on the command line: `7`, `last` or `confirmed`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nvi_operator.history.revision import Revision
    from nvi_operator.history.store import History

LAST, CONFIRMED = "last", "confirmed"


def number(text: str) -> str:
    if text in (LAST, CONFIRMED) or (text.isascii() and text.isdecimal() and int(text) > 0):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no revision: write its number, `last` or `confirmed`")


def find(history: History, text: str) -> Revision:
    """Raises HistoryError."""
    from nvi_operator.history.revision import Standing
    from nvi_operator.history.store import HistoryError

    if text == LAST:
        found = next(iter(history.revisions(1)), None)
    elif text == CONFIRMED:
        found = history.newest(Standing.CONFIRMED)
    else:
        found = history.revision(int(text))
    if found is None:
        raise HistoryError(f"history: there is no revision {text}", hint="`nvictl history` lists those that are kept")
    return found
