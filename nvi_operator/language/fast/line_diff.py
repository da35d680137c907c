"""What an edit of a file did to its entries, where it was one of a few lines.

Of a file with 100,000 entries two versions are compared in a millisecond, as bytes; reading one takes a thousand
times as long. So a source that was edited is asked for the same source with other bytes (`Source.edited`), and
answers only if the lines that differ are entries and nothing but entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MOST = 1 << 16  # bytes that differ: more than that is no edit of a few lines
_PIECE = 1 << 15  # bytes that are compared at a time: of large pieces the copies would take longer

Entries = Mapping[str, Any]


@dataclass(frozen=True)
class Edit:
    """Entries of one section, by name: those that are no more what they were, and what they are now."""

    section: str
    less: Entries
    more: Entries
    _done: list[tuple[Entries, Entries]] = field(default_factory=list, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, section: str, before: Entries, after: Entries) -> Edit:
        """From all entries of a part of the file, before and after."""
        same = {name for name, entry in after.items() if before.get(name) == entry}
        return cls(section, _without(before, same), _without(after, same))

    def on(self, entries: Entries) -> Entries:
        """The entries after the edit; the same ones for the same, since they are kept in several places."""
        for given, done in self._done:
            if given is entries:
                return done
        edited = dict(entries)
        for name in self.less.keys() - self.more.keys():
            del edited[name]
        edited.update(self.more)
        self._done.append((entries, edited))
        return edited


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
    same, piece = 0, _PIECE
    while piece:
        if same < len(old) and new.startswith(old[same : same + piece], same):
            same = min(same + piece, len(old))
        else:
            piece //= 2
    return same


def _same_after(old: bytes, new: bytes, most: int) -> int:
    """How many bytes are the same at the end, of at most so many."""
    o, n = len(old), len(new)
    same, piece = 0, _PIECE
    while piece:
        if same + piece <= most and new.endswith(old[o - same - piece : o - same], 0, n - same):
            same += piece
        else:
            piece //= 2
    return same


def _without(entries: Entries, names: set[str]) -> Entries:
    return {name: entry for name, entry in entries.items() if name not in names}
