"""The lines that differ between two versions of a file.

Two versions of a file with 100,000 entries are compared in a millisecond, as bytes; reading one takes a thousand
times as long. So a source makes itself again from other bytes (`Source.edited`), if the lines that differ are entries
and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

MOST = 1 << 16  # bytes that differ: more than that is no edit of a few lines
_PIECE = 1 << 18  # bytes that are compared at a time; it is halved where they differ


class LineSpan(NamedTuple):
    """Whole lines that differ, as places in the file before and after; what is around them is the same in both."""

    start: int
    old_end: int
    new_end: int

    @property
    def growth(self) -> int:
        return self.new_end - self.old_end


def changed_lines(old: bytes, new: bytes) -> LineSpan | None:
    """The lines that differ between two files, and perhaps one more; None if they are too many."""
    start = old.rfind(b"\n", 0, _same_before(old, new)) + 1
    o, n = len(old), len(new)
    line_end = old.find(b"\n", o - _same_after(old, new, min(o, n) - start))
    old_end = o if line_end < 0 else line_end + 1
    span = LineSpan(start, old_end, old_end + n - o)
    return span if max(span.old_end, span.new_end) - start <= MOST else None


def _same_before(old: bytes, new: bytes) -> int:
    """How many bytes are the same at the beginning."""
    shown = memoryview(old)  # its parts are no copies
    same, piece = 0, _PIECE
    while piece:
        if same < len(old) and new.startswith(shown[same : same + piece], same):
            same = min(same + piece, len(old))
        else:
            piece //= 2
    return same


def _same_after(old: bytes, new: bytes, most: int) -> int:
    """How many bytes are the same at the end, of at most so many."""
    shown = memoryview(old)
    o, n = len(old), len(new)
    same, piece = 0, _PIECE
    while piece:
        if same + piece <= most and new.endswith(shown[o - same - piece : o - same], 0, n - same):
            same += piece
        else:
            piece //= 2
    return same
