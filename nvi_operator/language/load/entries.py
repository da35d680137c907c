"""Entries beside the YAML: `forwardsFrom: forwards.csv` reads more forwards from a CSV or JSON Lines file.

An entry is validated by the same model as one in the YAML, whatever file it came in, and an error in it has its
place. Here: a file's text to its entries. The two formats are in `entries_csv.py` and `entries_json.py`; which
sections may be so written is in `model/sections.py`, which file may be read in `files.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import Position, SpecError, SpecProblem, SpecProblems
from nvi_operator.language.fast.delta import Delta, Patch
from nvi_operator.language.fast.line_diff import changed_lines
from nvi_operator.language.load.entries_csv import CsvTable
from nvi_operator.language.load.entries_json import JsonLines
from nvi_operator.language.load.entry_rows import Rows
from nvi_operator.language.load.validation_messages import explained
from nvi_operator.language.load.yaml_errors import decoded, encoded
from nvi_operator.language.load.yaml_reader import Document, Path
from nvi_operator.language.model.address_sets import KnownSets
from nvi_operator.language.model.sections import Language
from nvi_operator.language.model.values import is_name
from nvi_operator.language.wording import shown

_FORMATS: Mapping[str, type[Rows]] = {".csv": CsvTable, ".jsonl": JsonLines}


@dataclass(frozen=True)
class EntryFile:
    """A file of entries of one section. Places are found by reading it again, when one is asked for."""

    file: str
    section: str
    rows: Rows = field(repr=False)

    @property
    def raw(self) -> bytes:
        """See `merge.Source`."""
        return self.rows.raw

    def find(self, path: Path, *, key: bool = False) -> Position:
        """The place of the value at `path`, as in a document: spec, section, name of the entry, field, ..."""
        line = self._lines.get(path[2]) if len(path) > 2 else None
        return self.rows.document(line).find(path, key=key) if line else Position(self.file, 1, 1)

    def document_of(self, name: str) -> Document:
        """The entry's row, as a document that holds nothing else."""
        return self.rows.document(self._lines[name])

    def edited(self, data: bytes) -> tuple[EntryFile, Patch] | None:
        """See `merge.Source`."""
        rows = self.rows.of(encoded(data))
        lines = changed_lines(self.rows.raw, rows.raw)
        if lines is None:
            return None
        decoded(rows.raw[lines.start : lines.new_end], self.file)  # the rest is what it was: UTF-8
        before = _all_right(self.rows.part(lines.start, lines.old_end))
        after = _all_right(rows.part(lines.start, lines.new_end))
        if before is None or after is None:
            return None
        return EntryFile(self.file, self.section, rows), Patch(Delta.between(self.section, before, after))

    @cached_property
    def _lines(self) -> Mapping[str | int, int]:
        """The line of each name, the first of several."""
        lines: dict[str | int, int] = {}
        for line, name, _ in self.rows.entries(SpecProblems()):
            lines.setdefault(name, line)
        return lines


def read_entries(
    data: bytes | str, file: str, section: str, language: Language, sets: KnownSets | None = None
) -> tuple[EntryFile, dict[str, Any]]:
    """The entries of one file, by name. Raises SpecError with every problem of the file."""
    read = _FORMATS[PurePath(file).suffix]
    rows = read(decoded(data, file).encode(), file, section, language.bulk[section], sets)
    source = EntryFile(file, section, rows)
    problems = SpecProblems()
    entries: dict[str, Any] = {}
    for line, name, entry in rows.entries(problems):
        if entry is None or not is_name(name):
            if problems.is_full():
                continue
            try:
                entry = _slowly(rows, section, line, name, language)
            except SpecError as error:
                problems.add(error)
                continue
        if name not in entries:
            entries[name] = entry
        elif not problems.is_full():
            problems.append(_second(source, line, name))
    if problems:
        raise SpecError(problems)
    return source, entries


def _all_right(rows: Rows | None) -> dict[str, Any] | None:
    """The entries, if all are valid."""
    problems = SpecProblems()
    found = [(name, entry) for _, name, entry in rows.entries(problems)] if rows is not None else [("", None)]
    entries = dict(found)
    wrong = problems or any(entry is None or not is_name(name) for name, entry in found)
    return None if wrong or len(entries) < len(found) else entries


def _slowly(rows: Rows, section: str, line: int, name: str, language: Language) -> Any:
    """The entry as pydantic reads it. Raises SpecError in the words for the same entry in a document."""
    document = rows.document(line)
    try:
        return getattr(
            language.document.model_validate(document.data, context=rows.sets).spec, language.attributes[section]
        )[name]
    except ValidationError as error:
        raise SpecError(list(explained(document, error, language, several=rows.several))) from error


def _second(source: EntryFile, line: int, name: str) -> SpecProblem:
    path: Path = ("spec", source.section, name)
    return SpecProblem(
        source.rows.document(line).find(path, key=True),
        "",
        f"{shown(name)} is already defined at {source.find(path, key=True)}",
        "keep one of them, or rename one",
    )
