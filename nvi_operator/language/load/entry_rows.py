"""What the formats of entry files have in common: rows, and a row as a document with places."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Self

from nvi_operator.errors import Position, SpecProblem, SpecProblems
from nvi_operator.language.load.yaml_reader import Branch, Document, Places
from nvi_operator.language.model.address_sets import KnownSets
from nvi_operator.language.wording import AS_A_LIST


class Rows(ABC):
    """The rows of one file, in UTF-8: a line each, counted from 1."""

    several = AS_A_LIST  # how a field has several values

    def __init__(self, raw: bytes, file: str, section: str, model: type[Any], sets: KnownSets | None = None) -> None:
        self.raw = raw
        self.sets = sets
        self._file = file
        self._section = section
        self._model = model

    @cached_property
    def _lines(self) -> list[str]:
        """Split only for errors and places: the lines take twice the memory of the file."""
        return self.raw.decode().split("\n")

    def of(self, raw: bytes) -> Self:
        """The rows of the same file with other bytes in it."""
        return type(self)(raw, self._file, self._section, self._model, self.sets)

    @abstractmethod
    def part(self, start: int, end: int) -> Self | None:
        """The rows of some whole lines alone; None if they contain anything else."""

    @abstractmethod
    def entries(self, problems: SpecProblems) -> Iterator[tuple[int, str, Any]]:
        """Line, name and entry of each row in turn; the entry is None where something in it is wrong.

        What is no row at all is added to `problems`. It ends early where these are enough.
        """

    @abstractmethod
    def document(self, line: int) -> Document:
        """A row as a document that holds this entry only. Its line came out of `entries`."""

    def _problem(self, line: int, column: int, message: str, hint: str) -> SpecProblem:
        return SpecProblem(Position(self._file, line, column), "", message, hint)


def place(line: int, column: int) -> int:
    """A place as `yaml_reader.py` packs it."""
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
