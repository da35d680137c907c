"""Several documents of one name, and the entries beside them, to one gateway; and where each value was written.

How the documents of a section join is declared in `model/sections.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import PurePath
from typing import Any, Protocol

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import Position, SpecProblem, SpecProblems
from nvi_operator.language.fast.delta import Patch
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.host import FOLDER
from nvi_operator.language.model.sections import Join, Language
from nvi_operator.language.wording import short


class DocumentSource(Protocol):
    """A document, or a file of entries."""

    @property
    def file(self) -> str: ...

    @property
    def raw(self) -> bytes | None:
        """The whole file, its lines ending in one way, where the source keeps it."""

    def find(self, path: Path, *, key: bool = False) -> Position:
        """The place of the value at `path` (or of its key), or of its nearest parent that was written."""

    def edited(self, data: bytes) -> tuple[DocumentSource, Patch] | None:
        """The source after an edit of its file, if that was of a few entries; otherwise None. Raises SpecError."""


@dataclass(frozen=True)
class Part:
    """The sections of one source, valid by itself, by their names in YAML and in the order written."""

    source: DocumentSource
    name: str
    sections: dict[str, Any]
    # Of lists without the entries that are wrong: the place of each in the source.
    places: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Positions:
    """Where each value of a merged gateway was written. Paths are as in a document: spec, section, ..."""

    sources: tuple[DocumentSource, ...]
    sections: Mapping[str, int]  # section -> the first source that has it
    entries: Mapping[str, Sequence[tuple[int, Mapping[str, Any]]]]  # section that is a mapping -> (source, its own)
    lines: Mapping[str, Sequence[tuple[int, int]]]  # section that is a list -> (source, index in it) of each
    disabled: Mapping[str, frozenset[str]]  # section -> entries that are written, and not in the spec

    def find(self, path: Path, *, key: bool = False) -> Position:
        """The place of the value at `path` (or of its key), or of its nearest parent that was written."""
        source, written = self.written(path)
        return source.find(written, key=key)

    def written(self, path: Path) -> tuple[DocumentSource, Path]:
        """The source of a value, and its path there: list entries count from 0 in every document."""
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
                number = next((n for n, names in self.entries.get(section, ()) if step in names), number)
        return self.sources[number], path

    def after(self, number: int, source: DocumentSource, patch: Patch) -> Positions:
        """The merged spec after an edit of one source."""
        section = patch.delta.section
        sources = (*self.sources[:number], source, *self.sources[number + 1 :])
        named = [(n, patch(own) if n == number else own) for n, own in self.entries[section]]
        return replace(self, sources=sources, entries={**self.entries, section: named})


@dataclass
class _Merged:
    sources: tuple[DocumentSource, ...]
    language: Language
    data: dict[str, Any] = field(default_factory=dict)
    sections: dict[str, int] = field(default_factory=dict)
    entries: dict[str, list[tuple[int, Mapping[str, Any]]]] = field(default_factory=dict)
    lines: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    disabled: dict[str, frozenset[str]] = field(default_factory=dict)
    problems: SpecProblems = field(default_factory=SpecProblems)
    places: Sequence[int] = ()  # of the entries of the section that is added

    @property
    def where(self) -> Positions:
        return Positions(self.sources, self.sections, self.entries, self.lines, self.disabled)


def merge(parts: Sequence[Part], language: Language) -> tuple[GatewaySpec, Positions, SpecProblems]:
    """One gateway from all its parts; where there are problems, the spec has the first of two values."""
    merged = _Merged(tuple(part.source for part in parts), language)
    for number, part in enumerate(parts):
        for section, value in part.sections.items():
            if section in language.files:
                continue  # the files are parts of their own
            merged.places = part.places.get(section, ())
            _JOINED[language.by_name[section].join](merged, number, section, value)
            merged.sections.setdefault(section, number)
    for section in language.switched & merged.data.keys():
        _leave_out_disabled(merged, section)
    fields: dict[str, Any] = {
        language.attributes[section]: tuple(value) if language.by_name[section].join is Join.IN_ORDER else value
        for section, value in merged.data.items()
    }
    # All of it is valid: validating 100,000 entries again would take as long as reading them.
    return language.spec.model_construct(None, **fields), merged.where, merged.problems


def _single(merged: _Merged, number: int, section: str, value: Any) -> None:
    if section in merged.data:
        path: Path = ("spec", section)
        _twice(merged, merged.sources[number], path, section, merged.where.find(path, key=True))
    else:
        merged.data[section] = value


def _mapping(merged: _Merged, number: int, section: str, value: Mapping[str, Any]) -> None:
    before = merged.data.get(section, {})
    both = before.keys() & value.keys()
    for name in (name for name in value if name in both):
        path: Path = ("spec", section, name)
        first = merged.where.find(path, key=True)
        _twice(merged, merged.sources[number], path, f"{section} {name!r}", first)
    merged.data[section] = {**before, **value, **before} if before else value
    merged.entries.setdefault(section, []).append((number, value))


def _list(merged: _Merged, number: int, section: str, value: Sequence[Any]) -> None:
    target = merged.data.setdefault(section, [])
    lines = merged.lines.setdefault(section, [])
    names = {item.name: index for index, item in enumerate(target)}
    for index, item in zip(merged.places or range(len(value)), value, strict=True):
        if item.name in names:
            first = merged.where.find(("spec", section, names[item.name], "name"))
            path: Path = ("spec", section, index, "name")
            _twice(merged, merged.sources[number], path, f"{section} {item.name!r}", first)
        else:
            names[item.name] = len(target)
        target.append(item)
        lines.append((number, index))


def _leave_out_disabled(merged: _Merged, section: str) -> None:
    value = merged.data[section]
    if isinstance(value, list):
        if disabled := frozenset(item.name for item in value if not item.enabled):
            kept = [index for index, item in enumerate(value) if item.enabled]
            merged.data[section] = [value[index] for index in kept]
            merged.lines[section] = [merged.lines[section][index] for index in kept]
            merged.disabled[section] = disabled
    elif disabled := frozenset(name for name, entry in value.items() if not entry.enabled):
        merged.data[section] = {name: entry for name, entry in value.items() if name not in disabled}
        merged.disabled[section] = disabled


_JOINED = {Join.ONCE: _single, Join.IN_ORDER: _list, Join.BY_NAME: _mapping}


def _twice(merged: _Merged, source: DocumentSource, path: Path, what: str, first: Position) -> None:
    in_list = isinstance(path[-2], int)
    hint = "keep one of them" if len(path) == 2 else "keep one of them, or give one another name"
    if FOLDER in (PurePath(source.file).parent.name, PurePath(first.file).parent.name):
        hint += "; what changes it for one host is a document of kind Host"
    merged.problems.confined += merged.language.by_name[str(path[1])].independent
    merged.problems.append(
        SpecProblem(
            source.find(path, key=not in_list),
            dotted(path),
            f"{what} is already defined at {first}",
            hint,
        )
    )


def dotted(path: Path) -> str:
    """``spec.sourceNat[0].as``"""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{short(step)}" for step in path).removeprefix(".")
