"""What the formats of entry files have in common: rows, and a row as a document with places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from nvi_operator.errors import SpecProblem
from nvi_operator.spec.document import Branch, Document, Places

API_VERSION, KIND = "nvi-operator/v1", "Gateway"


class Row(NamedTuple):
    """One entry: its name, its fields as they would stand in YAML, and the line (from 1) that it is on."""

    line: int
    name: str
    data: dict[str, Any]


class Rows(Protocol):
    """The rows of one file."""

    def entries(self, problems: list[SpecProblem]) -> Iterator[tuple[int, str, Any]]:
        """Line, name and entry of each row in turn; the entry is None where it is wrong.

        What is no row at all is added to `problems`.
        """

    def row(self, line: int) -> Row | None:
        """What stands on a line; None where it is no entry."""

    def document(self, row: Row) -> Document:
        """The row as a document that holds this entry only."""


def place(line: int, column: int) -> int:
    """As `document.py` packs it."""
    return line << 32 | column


def row_document(
    file: str, section: str, row: Row, at_name: int, fields: Mapping[str, tuple[int, Places]]
) -> Document:
    """`fields` has for each field of the row the place of its key, and the places of its value."""
    start = place(row.line, 1)
    data = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": "entries"},
        "spec": {section: {row.name: row.data}},
    }
    entry = Branch(at_name, dict(fields))
    section_places = Branch(start, {section: (start, Branch(start, {row.name: (at_name, entry)}))})
    return Document(file, data, Branch(start, {"spec": (start, section_places)}))
