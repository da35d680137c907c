"""YAML 1.2 text to plain data, with the place of every key and value.

Built on libyaml's events, because PyYAML's own loaders follow YAML 1.1, where `no` is False, `010` is 8,
`22:22` is 1342, and the last of two equal keys silently wins. Here: the core schema of YAML 1.2, no
aliases, no tags, no duplicate keys. Whatever bytes come in, SpecError is the only thing that is raised.

The scalars are in `yaml_scalars.py`, the words for libyaml's complaints in `yaml_errors.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import Position, SpecError, SpecProblem, SpecProblems
from nvi_operator.language.load.yaml_errors import decoded, other_line_break, reader_problem, syntax_problem
from nvi_operator.language.load.yaml_scalars import AmbiguousScalar, may_be_other_than_text, value_of
from nvi_operator.language.wording import short, shown

Path = tuple[str | int, ...]

MAX_DEPTH = 40  # a gateway needs 7; the parser descends once for each

_LOADER: Any = getattr(yaml, "CLoader", yaml.Loader)
_MASK = 0xFFFF_FFFF


class Branch(NamedTuple):
    """Places of a mapping or list: its own, and those of what is in it.

    A place is one number, line and column packed, because there are two of them for each value of a file. Above them
    is the number of the file, where a document was put together from several.
    """

    place: int
    children: Any  # dict of key to (place of the key, Places), or list of Places


Places = int | Branch


@dataclass(frozen=True)
class Document:
    """One YAML document of a file: plain data, and the same shape again with places.

    `others` are further files that parts of it are from, counted from 1. `is_left`: it is what a host's document has
    beyond its site's spec.
    """

    file: str
    data: Any
    places: Places
    others: tuple[str, ...] = ()
    is_left: bool = False

    @property
    def raw(self) -> None:
        """See `merge.Source`."""

    def find(self, path: Path, *, key: bool = False) -> Position:
        """The place of the value at `path` (or of its key); of its nearest parent where it is missing."""
        node = self.places
        place = own_place(node)
        for number, step in enumerate(path):
            children = node.children if isinstance(node, Branch) else None
            if isinstance(children, dict) and step in children:
                at_key, node = children[step]
                place = at_key if key and number == len(path) - 1 else own_place(node)
            elif isinstance(children, list) and isinstance(step, int) and 0 <= step < len(children):
                node = children[step]
                place = own_place(node)
            else:
                break
        return self.position(place)

    def position(self, place: int) -> Position:
        """Where a packed place is."""
        number = place >> 64
        return Position(self.others[number - 1] if number else self.file, place >> 32 & _MASK, place & _MASK)

    def edited(self, data: bytes) -> None:
        """See `merge.Source`: what is anywhere in it may mean anything."""


def own_place(node: Places) -> int:
    """Where a value begins."""
    return node.place if isinstance(node, Branch) else node


def parse(data: bytes | str, file: str) -> list[Document]:
    """The documents of one file; empty ones are left out. Raises SpecError with every problem of the file."""
    text = decoded(data, file)
    problems = SpecProblems()
    documents: list[Document] = []
    if found := other_line_break(text, file):
        raise SpecError([found])
    try:
        documents = _Reader(_LOADER(text), file, problems).documents()
    except yaml.reader.ReaderError:
        problems.append(reader_problem(text, file))
    except yaml.MarkedYAMLError as error:
        problems.append(syntax_problem(error, text, file))
    if problems:
        raise SpecError(problems)
    return documents


class _StopError(Exception):
    """The rest cannot be read, or need not; the problems are noted already."""


class _Reader:
    def __init__(self, loader: Any, file: str, problems: SpecProblems) -> None:
        self._next = loader.get_event
        self._file = file
        self._problems = problems

    def _problem(self, place: int, message: str, hint: str) -> None:
        if self._problems.is_enough():
            raise _StopError
        if not self._problems.is_full():
            self._problems.append(SpecProblem(self._position(place), "", message, hint))

    def _found(self) -> int:
        return len(self._problems) + self._problems.more

    def _position(self, place: int) -> Position:
        return Position(self._file, place >> 32, place & _MASK)

    def documents(self) -> list[Document]:
        found: list[Document] = []
        try:
            while not isinstance(event := self._next(), yaml.StreamEndEvent):
                if not isinstance(event, yaml.DocumentStartEvent):
                    continue
                if event.version not in (None, (1, 2)):
                    major, minor = event.version
                    self._problem(
                        _place(event),
                        f"this document says it is YAML {major}.{minor}: specs are YAML 1.2",
                        "remove the %YAML line; no, yes, on and off are text here",
                    )
                data, places = self._node(self._next(), 0)
                if data is not None:
                    found.append(Document(self._file, data, places))
        except _StopError:
            pass  # noted in problems, and what follows has no meaning without it
        return found

    def _node(self, event: Any, depth: int) -> tuple[Any, Places]:
        mark = event.start_mark
        place: int = (mark.line + 1 << 32) + mark.column + 1
        kind = type(event)
        if kind is yaml.AliasEvent:
            self._problem(
                place, f"*{short(event.anchor)} is an alias: aliases are not allowed", "write the value out"
            )
            return None, place
        if event.anchor is not None:
            self._problem(
                place, f"&{short(event.anchor)} is an anchor: anchors are not allowed", "write it out each time"
            )
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._problem(place, f"{short(tag)} is a tag: tags are not allowed", "leave the tag out")
        if kind is yaml.ScalarEvent:
            text: str = event.value
            # Quoted and block text is text; plain text nearly always, so that is settled by its first letter.
            if event.style or not may_be_other_than_text(text):
                return text, place
            return self._scalar(text, place), place
        if depth == MAX_DEPTH:
            self._problem(place, f"nested more than {MAX_DEPTH} deep", "no gateway needs this: check the brackets")
            raise _StopError
        if kind is yaml.MappingStartEvent:
            return self._mapping(place, depth + 1)
        items: list[Any] = []
        places: list[Places] = []
        while type(item := self._next()) is not yaml.SequenceEndEvent:
            value, value_places = self._node(item, depth + 1)
            items.append(value)
            places.append(value_places)
        return items, Branch(place, places)

    def _mapping(self, place: int, depth: int) -> tuple[dict[str, Any], Branch]:
        data: dict[str, Any] = {}
        places: dict[str, tuple[int, Places]] = {}
        while type(event := self._next()) is not yaml.MappingEndEvent:
            problems = self._found()
            key, key_places = self._node(event, depth)
            at = own_place(key_places)
            if not isinstance(key, str):
                if self._found() == problems:  # otherwise the key is wrong in another way, which is reported
                    written = event.value if isinstance(event, yaml.ScalarEvent) else ""
                    self._problem(at, f"{short(written) or shown(key)} is not a key: keys are text", _key_hint(key))
                self._node(self._next(), depth)
                continue
            if key == "<<" and not event.style:
                self._problem(at, "<< is a merge key: merge keys are not allowed", "write the fields out")
            elif key in places:
                first = self._position(places[key][0])
                self._problem(
                    at,
                    f"{shown(key)} is already defined at {first}",
                    "keep one of them, or rename one",
                )
            value, value_places = self._node(self._next(), depth)
            if key not in places:
                data[key] = value
                places[key] = (at, value_places)
        return data, Branch(place, places)

    def _scalar(self, text: str, place: int) -> Any:
        try:
            return value_of(text)
        except AmbiguousScalar as error:
            self._problem(place, str(error), error.hint)
            return None


def _key_hint(key: Any) -> str:
    if isinstance(key, list):
        return "write an entry for each of them"
    if isinstance(key, dict):
        return "write a name before the ':', and the mapping after it"
    return "write a name before the ':'" if key is None else "put the key in quotes"


def _place(event: Any) -> int:
    mark = event.start_mark
    place: int = (mark.line + 1 << 32) + mark.column + 1
    return place
