"""Entries in JSON Lines: on each line one object, with `name` beside the fields that an entry has in YAML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from nvi_operator.errors import SpecError, SpecProblem, SpecProblems
from nvi_operator.language.fast.fast_entries import WRONG, Builder
from nvi_operator.language.load.entry_rows import Rows, place, row_document
from nvi_operator.language.load.yaml_reader import Branch, Document, Places, own_place, parse
from nvi_operator.language.model.base import fields_of
from nvi_operator.language.wording import nearest, shown

_FORM = 'write an object on one line: {"name": "web", ...}'


class _SecondKeyError(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise _SecondKeyError
    return data


# What the json module accepts, or describes in other words.
_OTHERS: Mapping[type[Exception], str] = {
    RecursionError: "it is nested too deep",
    UnicodeEncodeError: "half of a surrogate pair is not a character",
    ValueError: "a number is too long",
}


def _read(line: str) -> Any:
    data = _decode(line)
    if "\\u" in line:
        json.dumps(data, ensure_ascii=False).encode()  # Python's text can hold what no file and no terminal can
    return data


_decode = json.JSONDecoder(object_pairs_hook=_object).decode


class JsonLines(Rows):
    """The rows of one JSON Lines file."""

    def part(self, start: int, end: int) -> JsonLines:
        """See `Rows`."""
        return self.of(self.raw[start:end])

    def entries(self, problems: SpecProblems) -> Iterator[tuple[int, str, Any]]:
        """See `Rows`. Blank lines are passed over."""
        build = Builder(self._model, str, sets=self.sets).build
        for number, line in enumerate(self.raw.decode().split("\n"), start=1):
            if not line or line.isspace():
                continue
            if problems.is_enough():
                return
            try:
                data = _read(line)
                name = data.pop("name")
                if not isinstance(name, str):
                    raise TypeError
            except (ValueError, RecursionError, TypeError, AttributeError, KeyError):
                if not problems.is_full():
                    problems += self._wrong(number, line)
                continue
            try:
                entry = build(data.items())
            except WRONG:
                entry = None
            yield number, name, entry

    def _wrong(self, number: int, line: str) -> Iterator[SpecProblem]:
        """Why a line is no entry."""
        try:
            data = _read(line)
        except json.JSONDecodeError as error:
            yield self._problem(number, error.colno, f"not JSON: {error.msg}", _FORM)
        except _SecondKeyError:
            yield from self._second_keys(number, line)
        except (ValueError, RecursionError) as error:
            yield self._problem(number, 1, f"not readable as JSON: {_OTHERS.get(type(error), error)}", _FORM)
        else:
            if not isinstance(data, dict):
                yield self._problem(number, 1, f"expected an object, found {shown(data)}", _FORM)
            elif "name" not in data:
                yield self._nameless(number, data)
            else:
                message = f"expected a name as text, found {shown(data['name'])}"
                yield self._problem(number, 1, message, "put it in quotes")

    def document(self, line: int) -> Document:
        """See `Rows`. The places are from the reader of YAML, of which a line of JSON is a line."""
        text = self._lines[line - 1].replace("\t", " ")  # which YAML wants, and JSON does not mind
        data = _read(text)
        name = data.pop("name")
        at, fields = place(line, 1), {}
        with suppress(SpecError, ValueError):  # the few things that JSON writes in another way
            (read,) = parse(text, self._file)
            fields = _moved(read.places, line - 1).children
            at = own_place(fields.pop("name")[1])
        return row_document(self._file, self._section, name, data, at, fields)

    def _nameless(self, line: int, data: Mapping[str, Any]) -> SpecProblem:
        known = fields_of(self._model)
        if close := nearest("name", [field for field in data if field not in known]):
            return self._problem(line, 1, f"there is no field {shown(close)}", "did you mean 'name'?")
        return self._problem(line, 1, "name is missing", "add `name: ...` here")

    def _second_keys(self, number: int, line: str) -> Iterator[SpecProblem]:
        try:
            parse(line, self._file)
        except SpecError as error:
            for found in error.problems:
                yield self._problem(number, found.position.column, found.message.rpartition(" at ")[0], found.hint)
        else:
            yield self._problem(number, 1, "a field appears twice", "keep one of them")


def _moved(places: Places, lines: int) -> Any:
    """The places, so many lines further down."""
    if not isinstance(places, Branch):
        return places + (lines << 32)
    children = places.children
    if isinstance(children, dict):
        moved: Any = {key: (at + (lines << 32), _moved(value, lines)) for key, (at, value) in children.items()}
    else:
        moved = [_moved(value, lines) for value in children]
    return Branch(places.place + (lines << 32), moved)
