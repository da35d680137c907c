"""What a table consists of: each kind of object, described once.

Text, listing, transaction and diff go through these descriptions. A kind has a field of `Table`, nouns and a
definition as nft writes them, and perhaps contents, which change without a new definition: the rules of a chain, the
elements of a set. Flags and foreign objects of a table are only read; where they differ, the whole table is replaced.
A table with any other field is refused by `kinds_of`, so that no stage drops the field in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import fields, replace
from typing import Any, Generic, TypeVar

from nvi_operator.dataclass import dataclass
from nvi_operator.nft.ast import Chain, Element, ForeignObject, NamedSet, Rule, Table
from nvi_operator.nft.expressions import Ifindex, parse_chain, parse_set
from nvi_operator.nft.shapes import Json, member, text
from nvi_operator.nft.text import (
    chain_definition,
    element_order,
    element_text,
    elements_text,
    rule_text,
    set_definition,
)

T = TypeVar("T")

_ELEMENTS_PER_COMMAND = 2000  # keeps a line of nft text at a readable length


@dataclass(frozen=True)
class Contents(Generic[T]):
    """What is in an object. `emptied` and `filled` are commands that turn the contents of an object into another's,
    None for an object that does not exist before or after; with `again` they also replace what stays the same."""

    lines: Callable[[T], Iterator[str]]
    becomes: Callable[[T, T], bool]  # without a new definition
    emptied: Callable[[str, T, T | None, bool], Iterator[str]]
    filled: Callable[[str, T | None, T, bool], Iterator[str]]


@dataclass(frozen=True)
class ObjectKind(Generic[T]):
    """`field` is the one of Table that has the objects; `nouns` are nft's words for them."""

    field: str
    nouns: tuple[str, ...]
    noun: Callable[[T], str]
    name: Callable[[T], str]
    definition: Callable[[T], str]  # the body of `add NOUN`
    parse: Callable[[Json, Sequence[Rule], Ifindex], T | ForeignObject]
    contents: Contents[T] | None = None

    def of(self, table: Table) -> dict[str, T]:
        """The objects of a table by name, in the order of their names."""
        return {self.name(item): item for item in sorted(getattr(table, self.field), key=self.name)}

    def becomes(self, old: T, new: T) -> bool:
        """Can `old` be made `new` without deleting it?"""
        return self.contents.becomes(old, new) if self.contents else old == new


def _rules_emptied(table: str, old: Chain, new: Chain | None, again: bool) -> Iterator[str]:
    if again or new is None or new.rules != old.rules:
        yield f"flush chain {table} {old.name}"


def _rules_filled(table: str, old: Chain | None, new: Chain, again: bool) -> Iterator[str]:
    if again or old is None or new.rules != old.rules:
        for rule in new.rules:
            yield f"add rule {table} {new.name} {rule_text(rule)}"


def _elements_emptied(table: str, old: NamedSet, new: NamedSet | None, again: bool) -> Iterator[str]:
    if new is not None and old.elements != new.elements:
        yield from _elements("delete", table, old, old.elements - new.elements)


def _elements_filled(table: str, old: NamedSet | None, new: NamedSet, again: bool) -> Iterator[str]:
    if old is None or old.elements != new.elements:
        yield from _elements("add", table, new, new.elements - old.elements if old else new.elements)


def _elements(verb: str, table: str, named: NamedSet, elements: Set[Element]) -> Iterator[str]:
    ordered = sorted(elements, key=str)
    for start in range(0, len(ordered), _ELEMENTS_PER_COMMAND):
        part = ordered[start : start + _ELEMENTS_PER_COMMAND]
        yield f"{verb} element {table} {named.name} {{ {elements_text(part, named.key, named.values)} }}"


def _element_lines(named: NamedSet) -> Iterator[str]:
    if named.elements:
        yield "elements = {"
        for element in sorted(named.elements, key=element_order):
            yield f"    {element_text(element, named.key, named.values)},"
        yield "}"


COUNTERS: ObjectKind[str] = ObjectKind(
    "counters",
    ("counter",),
    noun=lambda counter: "counter",
    name=lambda counter: counter,
    definition=lambda counter: "",
    parse=lambda body, rules, ifindex: text(member(body, "name")),
)
CHAINS: ObjectKind[Chain] = ObjectKind(
    "chains",
    ("chain",),
    noun=lambda chain: "chain",
    name=lambda chain: chain.name,
    definition=chain_definition,
    parse=parse_chain,
    contents=Contents(
        lambda chain: map(rule_text, chain.rules),
        lambda old, new: replace(old, rules=()) == replace(new, rules=()),
        _rules_emptied,
        _rules_filled,
    ),
)
SETS: ObjectKind[NamedSet] = ObjectKind(
    "sets",
    ("set", "map"),
    noun=lambda named: "map" if named.values else "set",
    name=lambda named: named.name,
    definition=set_definition,
    parse=parse_set,
    contents=Contents(_element_lines, NamedSet.becomes, _elements_emptied, _elements_filled),
)

# In the order in which they are defined. Contents are filled in the opposite order: rules name sets and counters.
KINDS: tuple[ObjectKind[Any], ...] = (COUNTERS, CHAINS, SETS)
_ONLY_READ = frozenset({"name", "flags", "foreign"})


def kinds_of(table: Table) -> tuple[ObjectKind[Any], ...]:
    """The kinds of objects in a table. TypeError if a field of the table is described nowhere."""
    missing = {field.name for field in fields(table)} - {kind.field for kind in KINDS} - _ONLY_READ
    if missing:
        raise TypeError(f"nft table: no description of {', '.join(sorted(missing))} (nft/objects.py)")
    return KINDS


def in_file_order(table: Table) -> Iterable[ObjectKind[Any]]:
    """Objects in the order of a file: what has no contents first, and chains behind the sets that they name."""
    kinds = kinds_of(table)
    yield from (kind for kind in kinds if not kind.contents)
    yield from (kind for kind in reversed(kinds) if kind.contents)


def is_kept(before: Table, after: Table) -> bool:
    """Can `before` be made `after` object by object? Else the whole table is replaced."""
    return without_objects(before) == without_objects(after)


def without_objects(table: Table) -> Table:
    """The table with nothing in it that can be added."""
    nothing: dict[str, Any] = {kind.field: frozenset() for kind in kinds_of(table)}
    return replace(table, **nothing)
