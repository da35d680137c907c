"""Entries beside the YAML: `forwardsFrom: forwards.csv` reads more forwards from a CSV or JSON Lines file.

An entry is validated by the same model as one in the YAML, whatever file it came in, and an error in it has a place
of its own. Here: which sections may be so written, and a file's text to its entries. The two formats are in
`entries_csv.py` and `entries_json.py`; which file may be read is settled in `files.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nvi_operator.errors import Position, SpecError, SpecProblem
from nvi_operator.spec.bulk import MODELS
from nvi_operator.spec.document import Path
from nvi_operator.spec.entries_csv import CsvTable
from nvi_operator.spec.entries_json import JsonLines
from nvi_operator.spec.explain import explained
from nvi_operator.spec.models import Gateway
from nvi_operator.spec.rows import Row, Rows
from nvi_operator.spec.syntax import decoded
from nvi_operator.spec.values import parse_name

SECTIONS: Mapping[str, str] = {f"{section}From": section for section in MODELS}
_FORMATS: Mapping[str, type[CsvTable] | type[JsonLines]] = {".csv": CsvTable, ".jsonl": JsonLines}
_ADAPTERS: Mapping[str, TypeAdapter[Any]] = {section: TypeAdapter(model) for section, model in MODELS.items()}


@dataclass(frozen=True)
class EntryFile:
    """A file of entries of one section. Its places are found by reading it again, once somebody asks for one."""

    file: str
    section: str
    rows: Rows = field(repr=False)

    def find(self, path: Path, *, key: bool = False) -> Position:
        """The place of the value at `path`, as in a document: spec, section, name of the entry, field, ..."""
        row = self._by_name.get(path[2]) if len(path) > 2 else None
        return self.rows.document(row).find(path, key=key) if row else Position(self.file, 1, 1)

    @cached_property
    def _by_name(self) -> Mapping[str | int, Row]:
        """The first of each name."""
        rows: dict[str | int, Row] = {}
        for row in self.rows.read([]):
            rows.setdefault(row.name, row)
        return rows


def read_entries(data: bytes | str, file: str, section: str) -> tuple[EntryFile, dict[str, Any]]:
    """The entries of one file, by name. Raises SpecError with every problem of the file."""
    rows = _FORMATS[PurePath(file).suffix](decoded(data, file), file, section, MODELS[section])
    source = EntryFile(file, section, rows)
    validate = _ADAPTERS[section].validate_python
    problems: list[SpecProblem] = []
    entries: dict[str, Any] = {}
    for row in rows.read(problems):
        try:
            name = parse_name(row.name)
            entry = validate(row.data)
        except ValueError:
            problems += _explained(rows, section, row)
            continue
        if name in entries:
            problems.append(_second(source, row))
        else:
            entries[name] = entry
    if problems:
        raise SpecError(problems)
    return source, entries


def _explained(rows: Rows, section: str, row: Row) -> Iterator[SpecProblem]:
    """What is wrong with a row, in the words for the same entry in a document."""
    document = rows.document(row)
    try:
        Gateway.model_validate(document.data)
    except ValidationError as error:
        yield from explained(document, error)


def _second(source: EntryFile, row: Row) -> SpecProblem:
    path: Path = ("spec", source.section, row.name)
    return SpecProblem(
        source.rows.document(row).find(path, key=True),
        "",
        f"{row.name!r} is here for the second time: first at {source.find(path, key=True)}",
        "keep one of them, or rename one",
    )
