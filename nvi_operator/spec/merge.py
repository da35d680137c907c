"""Several documents of one name to one gateway; and, of the whole, where each value was written.

Sections that are mappings are joined by name, lists are joined in the order of files and documents, all else
may be said once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nvi_operator.errors import Position, SpecProblem
from nvi_operator.spec.document import Document, Path
from nvi_operator.spec.models import Gateway, GatewaySpec

_LISTS = ("sourceNat", "routes")
_SINGLES = ("host", "dataplane", "numbers", "guards")
_ATTRIBUTES = {str(field.alias): name for name, field in GatewaySpec.model_fields.items()}


@dataclass(frozen=True)
class Part:
    """One document, valid by itself."""

    document: Document
    gateway: Gateway

    @property
    def name(self) -> str:
        return self.gateway.metadata.name


@dataclass(frozen=True)
class Positions:
    """Where each value of a merged gateway was written. Paths are as in a document: spec, section, ..."""

    documents: tuple[Document, ...]
    sections: Mapping[str, int]  # section -> the first document that has it
    entries: Mapping[str, Mapping[str, int]]  # section that is a mapping -> name -> document
    lines: Mapping[str, Sequence[tuple[int, int]]]  # section that is a list -> (document, index in it) of each

    def find(self, path: Path, *, key: bool = False) -> Position:
        """The place of the value at `path` (or of its key), or of its nearest parent that was written."""
        document, written = self.written(path)
        return document.find(written, key=key)

    def written(self, path: Path) -> tuple[Document, Path]:
        """The document that says it, and the path there: lines count from 0 in every document."""
        section = str(path[1]) if len(path) > 1 and path[0] == "spec" else ""
        number = self.sections.get(section, 0)
        if len(path) > 2:
            step = path[2]
            lines = self.lines.get(section, ())
            if isinstance(step, int):
                if 0 <= step < len(lines):
                    number, index = lines[step]
                    path = ("spec", section, index, *path[3:])
            else:
                number = self.entries.get(section, {}).get(step, number)
        return self.documents[number], path


@dataclass
class _Merged:
    documents: tuple[Document, ...]
    data: dict[str, Any] = field(default_factory=dict)
    sections: dict[str, int] = field(default_factory=dict)
    entries: dict[str, dict[str, int]] = field(default_factory=dict)
    lines: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    problems: list[SpecProblem] = field(default_factory=list)

    @property
    def where(self) -> Positions:
        return Positions(self.documents, self.sections, self.entries, self.lines)


def merge(parts: Sequence[Part]) -> tuple[GatewaySpec, Positions, list[SpecProblem]]:
    """One gateway of all its documents; with problems, the spec holds what was said first."""
    merged = _Merged(tuple(part.document for part in parts))
    for number, part in enumerate(parts):
        for section in part.document.data.get("spec", ()):
            value = getattr(part.gateway.spec, _ATTRIBUTES[section])
            if section in _SINGLES:
                _single(merged, number, section, value)
            elif section in _LISTS:
                _list(merged, number, section, value)
            else:
                _mapping(merged, number, section, value)
            merged.sections.setdefault(section, number)
    whole = parts[0].gateway.spec if len(parts) == 1 else GatewaySpec.model_validate(merged.data)
    return whole, merged.where, merged.problems


def _single(merged: _Merged, number: int, section: str, value: Any) -> None:
    if section in merged.data:
        path: Path = ("spec", section)
        _twice(merged, merged.documents[number], path, section, merged.where.find(path, key=True))
    else:
        merged.data[section] = value


def _mapping(merged: _Merged, number: int, section: str, value: Mapping[str, Any]) -> None:
    target = merged.data.setdefault(section, {})
    entries = merged.entries.setdefault(section, {})
    for name, item in value.items():
        if name in target:
            path: Path = ("spec", section, name)
            first = merged.where.find(path, key=True)
            _twice(merged, merged.documents[number], path, f"{section} {name!r}", first)
        else:
            target[name] = item
            entries[name] = number


def _list(merged: _Merged, number: int, section: str, value: Sequence[Any]) -> None:
    target = merged.data.setdefault(section, [])
    lines = merged.lines.setdefault(section, [])
    names = {item.name: index for index, item in enumerate(target)}
    for index, item in enumerate(value):
        if item.name in names:
            first = merged.where.find(("spec", section, names[item.name], "name"))
            path: Path = ("spec", section, index, "name")
            _twice(merged, merged.documents[number], path, f"{section} {item.name!r}", first)
        else:
            names[item.name] = len(target)
        target.append(item)
        lines.append((number, index))


def _twice(merged: _Merged, document: Document, path: Path, what: str, first: Position) -> None:
    in_list = isinstance(path[-2], int)
    merged.problems.append(
        SpecProblem(
            document.find(path, key=not in_list),
            dotted(path),
            f"{what} is defined for the second time: first at {first}",
            "keep one of them" if path[-1] in _SINGLES else "keep one of them, or give one another name",
        )
    )


def dotted(path: Path) -> str:
    """``spec.sourceNat[0].as``"""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
