"""Variables: `${name}` in a document, replaced before anything is validated.

A value that is `${name}` and nothing else becomes what the variable holds: text, a number, a list or a mapping, and
is validated where it is used. In a longer text, and in a key, it is a part of the text. There are no expressions;
`$${` means `${` itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import Position, SpecProblem
from nvi_operator.language.layers.presence import MARK
from nvi_operator.language.load.merge import dotted
from nvi_operator.language.load.yaml_reader import Branch, Document, Path, Places, own_place
from nvi_operator.language.wording import shown
from nvi_operator.pattern import pattern

HOSTNAME = "hostname"  # the variable that every spec has

_REFERENCE = pattern(r"\$\$\{|\$\{([^{}\s]*)\}|\$\{")
_WHOLE = pattern(r"\$\{([^{}\s]*)\}")
_NOT_FILLED = ("vars", "host")  # sections: one defines variables, the other chooses the gateway


@dataclass(frozen=True)
class Variable:
    """What a variable holds, and where that is written; None: nowhere, it is the host's name."""

    value: Any
    position: Position | None


@dataclass
class Filling:
    """Fills in variables of documents, and collects what is wrong with them.

    `instead` tells what to do about a name that none of them has.
    """

    variables: Mapping[str, Variable]
    instead: Callable[[str, Iterable[str]], str]
    problems: list[SpecProblem] = field(default_factory=list)
    origins: dict[Position, str] = field(default_factory=dict)  # of filled-in values, for messages about them
    used: set[str] = field(default_factory=set)

    def fill(self, document: Document) -> Document:
        """The document with every reference filled in."""
        if not isinstance(document.data, dict) or not isinstance(document.data.get("spec"), dict):
            return document
        children = _children(document.places)
        at, places = children["spec"]
        sections, section_places = document.data["spec"], _children(places)
        filled: dict[str, Any] = {}
        filled_places: dict[str, tuple[int, Places]] = {}
        for section, value in sections.items():
            at_section, of_section = section_places[section]
            if section not in _NOT_FILLED:
                value, of_section = self._node(document, ("spec", section), value, of_section)
            filled[section], filled_places[section] = value, (at_section, of_section)
        spec_places = Branch(own_place(places), filled_places)
        whole = Branch(own_place(document.places), {**children, "spec": (at, spec_places)})
        return replace(document, data={**document.data, "spec": filled}, places=whole)

    def _node(self, document: Document, path: Path, value: Any, places: Places) -> tuple[Any, Places]:
        if isinstance(value, str):
            if MARK in value:
                value = self._value(document, path, value, own_place(places))
            return value, own_place(places)
        if isinstance(value, dict) and isinstance(places, Branch):
            return self._mapping(document, path, value, places)
        if isinstance(value, list) and isinstance(places, Branch):
            pairs = [
                self._node(document, (*path, index), item, places.children[index]) for index, item in enumerate(value)
            ]
            return [item for item, _ in pairs], Branch(places.place, [at for _, at in pairs])
        return value, places

    def _mapping(
        self, document: Document, path: Path, value: Mapping[str, Any], places: Branch
    ) -> tuple[dict[str, Any], Branch]:
        filled: dict[str, Any] = {}
        filled_places: dict[str, tuple[int, Places]] = {}
        for key, item in value.items():
            at, of_item = places.children[key]
            name = self._text(document, (*path, key), key, at) if MARK in key else key
            if name in filled:
                first = document.position(filled_places[name][0])
                message = f"{shown(name)} is already defined at {first}"
                self._problem(document, (*path, key), at, message, "keep one of them, or rename one")
                continue
            filled[name], of_item = self._node(document, (*path, name), item, of_item)
            filled_places[name] = (at, of_item)
        return filled, Branch(places.place, filled_places)

    # ---------------------------------------------------------------- one text

    def _value(self, document: Document, path: Path, text: str, place: int) -> Any:
        if (whole := _WHOLE.fullmatch(text)) is None:
            return self._text(document, path, text, place)
        variable = self._variable(document, path, whole[1], place)
        return text if variable is None else variable.value

    def _text(self, document: Document, path: Path, text: str, place: int) -> str:
        def part(match: re.Match[str]) -> str:
            if match[0].startswith("$$"):
                return MARK
            if match[1] is None:
                message = f"{shown(text)}: a variable that is not closed"
                self._problem(document, path, place, message, "write ${name}, or $${ for the characters themselves")
                return match[0]
            variable = self._variable(document, path, match[1], place)
            if variable is None:
                return match[0]
            if isinstance(variable.value, bool | float) or not isinstance(variable.value, str | int):
                self._not_text(document, path, match[1], variable, place)
                return match[0]
            return str(variable.value)

        return _REFERENCE.sub(part, text)

    def _variable(self, document: Document, path: Path, name: str, place: int) -> Variable | None:
        found = self.variables.get(name)
        if found is None:
            self._problem(
                document, path, place, f"there is no variable {shown(name)} here", self.instead(name, self.variables)
            )
            return None
        self.used.add(name)
        if found.position is not None:
            origin = f"${{{name}}} is set at {found.position}"
            at = document.position(place)
            known = self.origins.setdefault(at, origin)
            if origin not in known:
                self.origins[at] = f"{known}, {origin}"
        return found

    def _not_text(self, document: Document, path: Path, name: str, variable: Variable, place: int) -> None:
        """1.10 is 1.1 to YAML: as a part of an address it would silently be another one."""
        what = shown(variable.value)
        message = f"${{{name}}} is {what}, and cannot be a part of a text"
        number = isinstance(variable.value, float)
        hint = "put the variable's value in quotes" if number else "let ${...} be the whole value, or name a text"
        self._problem(document, path, place, message, hint)

    def _problem(self, document: Document, path: Path, place: int, message: str, hint: str) -> None:
        self.problems.append(SpecProblem(document.position(place), dotted(path), message, hint))


def _children(places: Places) -> dict[str, tuple[int, Places]]:
    assert isinstance(places, Branch)
    children: dict[str, tuple[int, Places]] = places.children
    return children
