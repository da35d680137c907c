"""YAML 1.2 text to plain data, with the place of every value.

Built on libyaml's events, because PyYAML's own loaders follow YAML 1.1, where `no` is False, `010` is 8,
`22:22` is 1342, and the last of two equal keys silently wins. Here: the core schema of YAML 1.2, no
aliases, no tags, no duplicate keys; and every error has a line and a column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from nvi_operator.errors import Position, SpecError, SpecProblem

Path = tuple[str | int, ...]

_LOADER: Any = getattr(yaml, "CLoader", yaml.Loader)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Node:
    """A value with its place. `value` is a scalar, a list of nodes, or a dict of key to (key place, node)."""

    value: Any
    line: int
    column: int

    def plain(self) -> Any:
        """Without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, (_, node) in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(frozen=True)
class Document:
    """One YAML document of a file."""

    file: str
    root: Node

    def find(self, path: Path, *, key: bool = False) -> Position:
        """The place of the value at `path` (or of its key); of its nearest parent where it is missing."""
        node = self.root
        place = (node.line, node.column)
        for number, step in enumerate(path):
            if isinstance(node.value, dict) and step in node.value:
                at_key, node = node.value[step]
                place = at_key if key and number == len(path) - 1 else (node.line, node.column)
            elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                place = (node.line, node.column)
            else:
                break
        return Position(self.file, *place)


def parse(data: bytes, file: str) -> list[Document]:
    """The documents of one file; empty ones are left out. Raises SpecError."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - before.rfind(b"\n")
        place = Position(file, before.count(b"\n") + 1, column)
        raise _problem(place, f"byte {data[error.start]:#04x} is not UTF-8", "save the file in UTF-8") from error
    try:
        return list(_documents(yaml.parse(text, Loader=_LOADER), file))
    except yaml.reader.ReaderError as error:
        before_text = text[: error.position]
        place = Position(file, before_text.count("\n") + 1, error.position - before_text.rfind("\n"))
        raise _problem(place, "a control character is not allowed in YAML", "remove it") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1, 1)
        context = f" ({error.context})" if error.context else ""
        raise _problem(place, f"not YAML: {error.problem}{context}", _syntax_hint(error.problem or "")) from error
    except RecursionError as error:
        raise _problem(Position(file, 1, 1), "nested too deeply", "no gateway needs this") from error


def _syntax_hint(problem: str) -> str:
    if "\\t" in problem or "token" in problem:
        return "indent with spaces, not tabs; quote text that starts with a special character"
    if "mapping values" in problem:
        return "a ': ' inside a value needs quotes around the value"
    return "check the indentation and the quotes of this line and the one before"


def _problem(place: Position, message: str, hint: str = "") -> SpecError:
    return SpecError([SpecProblem(place, "", message, hint)])


def _documents(events: Iterator[Any], file: str) -> Iterator[Document]:
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            root = _node(next(events), events, file)
            if root.value is not None:
                yield Document(file, root)


def _node(event: Any, events: Iterator[Any], file: str) -> Node:
    mark = event.start_mark
    line, column = mark.line + 1, mark.column + 1
    place = Position(file, line, column)
    if isinstance(event, yaml.AliasEvent):
        raise _problem(place, f"alias *{event.anchor}: aliases are not allowed", "write the value out")
    if event.anchor:
        raise _problem(place, f"anchor &{event.anchor}: anchors are not allowed", "write the value out where needed")
    if event.tag is not None and event.tag != "!":
        raise _problem(place, f"tag {event.tag}: tags are not allowed", "leave the tag out")
    if isinstance(event, yaml.ScalarEvent):
        value = event.value if event.style else _scalar(event.value, place)
        return Node(value, line, column)
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        for item in iter(lambda: next(events), None):
            if isinstance(item, yaml.SequenceEndEvent):
                break
            items.append(_node(item, events, file))
        return Node(items, line, column)
    return Node(_mapping(events, file), line, column)


def _mapping(events: Iterator[Any], file: str) -> dict[str, tuple[tuple[int, int], Node]]:
    pairs: dict[str, tuple[tuple[int, int], Node]] = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        key = _node(event, events, file)
        place = Position(file, key.line, key.column)
        if not isinstance(key.value, str):
            shown = "a list or mapping" if isinstance(key.value, list | dict) else repr(key.value)
            raise _problem(place, f"{shown} is no key: keys are text", "put the key in quotes")
        if key.value == "<<":
            raise _problem(place, "merge keys (<<) are not allowed", "write the fields out")
        if key.value in pairs:
            (first_line, first_column), _ = pairs[key.value]
            raise _problem(
                place,
                f"{key.value!r} is here for the second time: first at {file}:{first_line}:{first_column}",
                "keep one of them",
            )
        pairs[key.value] = ((key.line, key.column), _node(next(events), events, file))
    return pairs


def _scalar(text: str, place: Position) -> Any:
    """A plain scalar by the core schema of YAML 1.2.2 (chapter 10.3.2)."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        digits = text.lstrip("+-")
        if len(digits) > 1 and digits[0] == "0":
            raise _problem(
                place,
                f"{text} is ambiguous: an octal number to YAML 1.1, {int(text)} to YAML 1.2",
                f"write {int(text)}, or quote it if it is text",
            )
        return int(text) if len(digits) < 20 else text
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEX.fullmatch(text):
        return int(text[2:], 16)
    return float(text) if _FLOAT.fullmatch(text) else text
