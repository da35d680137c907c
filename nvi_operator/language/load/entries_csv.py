"""Entries in CSV (RFC 4180): a header that names fields as in YAML, and a row for each entry.

Cells are text and mean what they would mean in YAML; an empty one is a field left out, several values in one cell are
separated by spaces, save in a description. Blank lines and lines that begin with `#` are passed over. A cell never
goes over lines, so that each row is a line and a wrong one harms no other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo

from nvi_operator.errors import SpecProblem, SpecProblems
from nvi_operator.language.fast.fast_entries import WRONG, Absent, Builder
from nvi_operator.language.load.entry_rows import Rows, place, row_document
from nvi_operator.language.load.yaml_reader import Branch, Document, Places
from nvi_operator.language.model.base import fields_of
from nvi_operator.language.other_words import field_instead
from nvi_operator.language.wording import nearest, shown
from nvi_operator.pattern import pattern

_BOOLEANS = {"true": True, "false": False}
# The csv module does not tell at which column a cell begins, so this reads lines with quotes, and lines with errors.
_CELL = pattern(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^",]*?))\s*(?P<end>,|$)')


class _Cell(NamedTuple):
    start: int  # of its content, from 0
    text: str


class _Header(NamedTuple):
    line: int
    start: int  # in the file
    end: int
    cells: list[_Cell]


class CsvTable(Rows):
    """The rows of one CSV file."""

    several = "separate several values of one cell by spaces"

    @cached_property
    def _fields(self) -> Mapping[str, FieldInfo]:
        return fields_of(self._model)

    def part(self, start: int, end: int) -> CsvTable | None:
        """See `Rows`. It begins with the same header."""
        header = self._header()
        if start < header.end:
            return None
        return self.of(self.raw[header.start : header.end] + self.raw[start:end])

    def entries(self, problems: SpecProblems) -> Iterator[tuple[int, str, Any]]:
        """See `Rows`. Where the header is wrong, that is the only problem told of a file."""
        number, header = (found := self._header()).line, found.cells
        wrong = list(self._header_problems(number, header))
        problems += wrong
        if wrong:
            return
        names = [cell.text for cell in header]
        width, at_name = len(names), names.index("name")
        columns = [(name, index) for index, name in enumerate(names) if name != "name"]
        build = Builder(self._model, _value, _READ, sets=self.sets).of_columns(columns)
        for line, text in enumerate(self.raw.decode().split("\n"), start=1):
            text = text.strip()
            if line <= number or not text or text[0] == "#":
                continue
            if problems.is_enough():
                return
            cells = text.split(",") if '"' not in text else self._quoted(line, problems)
            if cells is None:
                continue
            if len(cells) != width:
                if not problems.is_full():
                    problems.append(self._uneven(line, width))
                continue
            try:
                entry = build(cells)
            except WRONG:
                entry = None
            yield line, cells[at_name].strip(), entry

    def document(self, line: int) -> Document:
        """See `Rows`. Each cell has its place, and so has each value in it."""
        columns = [cell.text for cell in self._header().cells]
        cells = dict(zip(columns, _cells(self._lines[line - 1]), strict=True))
        name = cells.pop("name")
        data: dict[str, Any] = {}
        fields: dict[str, tuple[int, Places]] = {}
        for column, cell in cells.items():
            with suppress(Absent):
                read = _READ.get(column, _value)
                data[column] = read(cell.text)
            words = [place(line, cell.start + word.start() + 1) for word in re.finditer(r"\S+", cell.text)]
            first = words[0] if words else place(line, cell.start + 1)
            fields[column] = (first, Branch(first, list(words)) if len(words) > 1 else first)
        at = place(line, name.start + 1)
        return row_document(self._file, self._section, name.text.strip(), data, at, fields)

    # ---------------------------------------------------------------- lines and header

    def _header(self) -> _Header:
        """The first line that is one."""
        for number, match in enumerate(re.finditer(rb"[^\n]*\n?", self.raw), start=1):
            line = match[0].decode()
            if line.strip() and not line.lstrip().startswith("#"):
                try:
                    cells = _cells(line)
                except ValueError:
                    cells = [_Cell(0, line.strip())]
                return _Header(number, match.start(), match.end(), cells)
        return _Header(1, 0, len(self.raw), [])

    def _quoted(self, line: int, problems: SpecProblems) -> list[str] | None:
        try:
            return [cell.text for cell in _cells(self._lines[line - 1])]
        except ValueError as error:
            if not problems.is_full():
                message = "not CSV: a quote that is not closed on its line, or text beside it"
                hint = 'close it before the next comma, and write " within quotes as ""'
                problems.append(self._problem(line, error.args[0] + 1, message, hint))
            return None

    def _header_problems(self, line: int, header: list[_Cell]) -> Iterator[SpecProblem]:
        known = ["name", *self._fields]
        names = [cell.text for cell in header]
        if not header:
            yield self._problem(1, 1, "there is no header", f"write one on the first line: {','.join(known)}")
        elif len(header) == 1 and any(sign in names[0] for sign in ";\t"):
            yield self._problem(line, 1, "the columns are not separated by commas", "save the file with commas")
        else:
            meant: set[str] = set()
            for index, cell in enumerate(header):
                if cell.text not in known:
                    close = nearest(cell.text, known)
                    meant.add(close or "")
                    hint = f"did you mean {close!r}?" if close else f"there are: {', '.join(known)}"
                    hint = field_instead(cell.text, known) or hint
                    yield self._problem(line, cell.start + 1, f"there is no field {shown(cell.text)}", hint)
                elif cell.text in names[:index]:
                    message = f"column {cell.text!r} appears twice"
                    yield self._problem(line, cell.start + 1, message, "keep one of them")
            needed = ["name", *(name for name, field in self._fields.items() if field.is_required())]
            for name in needed:
                if name not in names and name not in meant:
                    message = f"the header has no column {name!r}"
                    yield self._problem(line, 1, message, "each entry needs it: add the column")

    def _uneven(self, line: int, expected: int) -> SpecProblem:
        cells = _cells(self._lines[line - 1])
        message = f"this row has {len(cells)} cells, and the header {expected}"
        if len(cells) > expected:
            return self._problem(line, cells[expected].start + 1, message, self.several)
        column = len(self._lines[line - 1].rstrip()) + 1
        return self._problem(line, column, message, "write a comma for each empty cell as well")


def _value(cell: str) -> Any:
    """What the cell would be in YAML. Raises Absent for an empty one."""
    words = cell.split()
    if not words:
        raise Absent
    return _BOOLEANS.get(words[0], words[0]) if len(words) == 1 else words


def _text(cell: str) -> str:
    """A cell that is one text, spaces and all."""
    if not (text := cell.strip()):
        raise Absent
    return text


_READ: Mapping[str, Callable[[str], Any]] = {"description": _text}


def _cells(line: str) -> list[_Cell]:
    """Raises ValueError with the place (from 0) of a cell whose quotes are wrong."""
    cells: list[_Cell] = []
    start, end = 0, ","
    line = line.rstrip()
    while end == ",":
        match = _CELL.match(line, start)
        if match is None:
            raise ValueError(start)
        quoted = match["quoted"]
        cells.append(
            _Cell(match.start("plain"), match["plain"])
            if quoted is None
            else _Cell(match.start("quoted"), quoted.replace('""', '"'))
        )
        start, end = match.end(), match["end"]
    return cells
