"""What the formats of entry files have in common: rows, and a row as a document with places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from nvi_operator.errors import SpecProblem
from nvi_operator.spec.document import Branch, Document, Places


class Rows(Protocol):
    """The rows of one file: a line each, counted from 1."""

    @property
    def raw(self) -> bytes:
        """The file, in UTF-8."""

    def of(self, raw: bytes) -> Rows:
        """Those of the same file with other bytes in it."""

    def part(self, start: int, end: int) -> Rows | None:
        """Those of some whole lines, for themselves; None if something else is said there, too."""

    def entries(self, problems: list[SpecProblem]) -> Iterator[tuple[int, str, Any]]:
        """Line, name and entry of each row in turn; the entry is None where something in it is wrong.

        What is no row at all is added to `problems`.
        """

    def document(self, line: int) -> Document:
        """A row as a document that holds this entry only. Its line came out of `entries`."""


def place(line: int, column: int) -> int:
    """As `document.py` packs it."""
    return line << 32 | column


def row_document(
    file: str, section: str, name: str, data: Mapping[str, Any], at: int, fields: Mapping[str, tuple[int, Places]]
) -> Document:
    """An entry that is called `name` at the place `at`.

    `fields` has for each field of `data` the place of its key, and the places of its value.
    """
    whole = {
        "apiVersion": "nvi-operator/v1",
        "kind": "Gateway",
        "metadata": {"name": "entries"},
        "spec": {section: {name: data}},
    }
    entries = Branch(at, {name: (at, Branch(at, dict(fields)))})
    return Document(file, whole, Branch(at, {"spec": (at, Branch(at, {section: (at, entries)}))}))
