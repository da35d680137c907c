"""Tables and labelled texts: one line an entry in a pipe, and no word broken on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from textwrap import wrap

from nvi_operator.dataclass import dataclass
from nvi_operator.view.segment import Piece, Segment, line, unstyled

_GAP = "  "

Row = tuple[str, ...]


@dataclass
class TextTable:
    """Rows under a title, without the columns that no row fills.

    rich's own tables are as wide as a terminal, also in a pipe, and fold words to fit.
    """

    title: str
    heading: Row
    right: frozenset[int] = frozenset()  # columns of numbers
    rows: list[Row] = field(default_factory=list)

    def drawn(self, width: int | None) -> Iterator[Piece]:
        """The lines, not wider than `width` where the words allow it; None: as wide as need be."""
        yield from (line(text, "italic") for text in ([self.title] if width is None else _words(self.title, width)))
        for number, text in enumerate(self._filled()._lines(width)):
            yield line(text, "" if number else "bold")

    def _filled(self) -> TextTable:
        kept = [
            number for number in range(len(self.heading)) if not self.rows or any(row[number] for row in self.rows)
        ]
        heading, *rows = (tuple(row[number] for number in kept) for row in (self.heading, *self.rows))
        return TextTable(
            self.title, heading, frozenset(at for at, number in enumerate(kept) if number in self.right), rows
        )

    def _lines(self, width: int | None) -> Iterator[str]:
        """The heading and the rows."""
        columns = list(zip(self.heading, *self.rows, strict=True))
        widths = [max(map(len, column)) for column in columns]
        if width is None or _total(widths) <= width:
            yield from (self._line(row, widths) for row in (self.heading, *self.rows))
            return
        words = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
        if _total(words) <= width:
            widths = _narrowed(widths, words, width)
            for row in (self.heading, *self.rows):
                yield from self._wrapped(row, widths)
        else:
            yield from self._stacked(width)

    def _line(self, row: Row, widths: Sequence[int]) -> str:
        cells = (
            f"{cell:>{size}}" if number in self.right else f"{cell:<{size}}"
            for number, (cell, size) in enumerate(zip(row, widths, strict=True))
        )
        return _GAP.join(cells).rstrip()

    def _wrapped(self, row: Row, widths: Sequence[int]) -> Iterator[str]:
        cells = [_words(cell, size) for cell, size in zip(row, widths, strict=True)]
        for number in range(max(map(len, cells))):
            yield self._line(tuple(cell[number] if number < len(cell) else "" for cell in cells), widths)

    def _stacked(self, width: int) -> Iterator[str]:
        """Too many columns side by side: each entry's name, and its fields below."""
        for name, *cells in self.rows:
            yield name
            for heading, cell in zip(self.heading[1:], cells, strict=True):
                if not cell:
                    continue
                for words in _words(f"{heading}: {cell}", width - len(_GAP)):
                    yield _GAP + words


def labelled(label: Piece, text: str, width: int | None, style: str = "") -> Iterator[Piece]:
    """A label, and a text that hangs behind it where it has several lines, or `width` is too narrow for one."""
    indent = len(unstyled(label))
    rows = text.splitlines() or [""]
    first, *others = rows if width is None else [words for row in rows for words in _words(row, width - indent)]
    yield (*label, Segment(first, style))
    for words in others:
        yield line(" " * indent + words, style)


def signed(text: str, width: int | None, style: str = "", indent: str = "") -> Iterator[Piece]:
    """A recorded line of a plan, `+ forward web: new`: what has no room in `width` hangs behind its sign."""
    sign = text[:2] if text[1:2] == " " else ""
    yield from labelled(line(indent + sign, style), text.removeprefix(sign), width, style)


def _words(cell: str, width: int) -> list[str]:
    return wrap(cell, max(width, 1), break_long_words=False, break_on_hyphens=False) or [""]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _narrowed(widths: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """Columns that fit: what is too much is taken where most can be spared."""
    narrow = list(widths)
    while _total(narrow) > width:
        widest = max(range(len(narrow)), key=lambda number: narrow[number] - least[number])
        narrow[widest] -= 1
    return narrow
