"""Which packets are meant: variables with sets of values, and rows of maps that tie some of them together. Immutable.

A field of a packet is a `Term`: a variable, plus an offset that prefix translation adds. So a test of a translated
address narrows the packets that came in.

A lookup in a map of 100,000 elements gives one `Bundle`, the rows that match, and one space without them. A later
test splits the bundle only if it tells its rows apart.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import Protocol

from nvi_operator.dataclass import dataclass, replace
from nvi_operator.explain.spans import Span, Spans

Point = Mapping[str, int]  # a value for each variable


@dataclass(frozen=True)
class Term:
    """The value of a variable, plus `offset`."""

    variable: str
    offset: int = 0

    def at(self, point: Point) -> int:
        return point[self.variable] + self.offset


class Keys(Protocol):
    """The keys of a map, to be left out."""

    def __contains__(self, key: object) -> bool: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Without:
    """Packets whose terms are together one of the keys are not meant."""

    terms: tuple[Term, ...]
    keys: Keys


@dataclass(frozen=True, eq=False)
class VariableColumn:
    """The value of one variable in each row, from `lows` to `highs`; these are one object where all are exact."""

    lows: Sequence[int]
    highs: Sequence[int]

    @property
    def exact(self) -> bool:
        return self.lows is self.highs

    def picked(self, rows: Sequence[int]) -> VariableColumn:
        lows = [self.lows[row] for row in rows]
        return VariableColumn(lows, lows if self.exact else [self.highs[row] for row in rows])

    @cached_property
    def bounds(self) -> Span:
        return min(self.lows), max(self.highs)


@dataclass(frozen=True, eq=False)
class Bundle:
    """Rows of maps that matched together. `elements` has for each row what it came from."""

    columns: Mapping[str, VariableColumn]
    elements: Sequence[object]

    def __len__(self) -> int:
        return len(self.elements)

    def picked(self, rows: Sequence[int]) -> Bundle:
        if len(rows) == len(self):
            return self
        columns = {name: column.picked(rows) for name, column in self.columns.items()}
        return Bundle(columns, [self.elements[row] for row in rows])

    def split(self, variable: str, values: Spans) -> tuple[Bundle | None, Bundle | None]:
        """The rows, and parts of rows, with one of the values, and the others."""
        column = self.columns[variable]
        low, high = column.bounds
        values &= Spans(((low, high),))
        if values.parts == ((low, high),):
            return self, None
        if not values:
            return None, self
        if not column.exact:
            return self._cut(variable, values), self._cut(variable, Spans(((low, high),)) - values)
        inside: list[int] = []
        outside: list[int] = []
        if len(values.parts) == 1:
            first, last = values.parts[0]
            for row, value in enumerate(column.lows):
                (inside if first <= value <= last else outside).append(row)
        else:
            firsts, lasts = ([span[end] for span in values.parts] for end in (0, 1))
            for row, value in enumerate(column.lows):
                at = bisect_right(firsts, value)
                (inside if at and value <= lasts[at - 1] else outside).append(row)
        return self.picked(inside) if inside else None, self.picked(outside) if outside else None

    def _cut(self, variable: str, values: Spans) -> Bundle | None:
        column = self.columns[variable]
        rows: list[int] = []
        parts: list[Span] = []
        for row, span in enumerate(zip(column.lows, column.highs, strict=True)):
            for part in values & Spans((span,)):
                rows.append(row)
                parts.append(part)
        if not rows:
            return None
        columns = {name: each.picked(rows) for name, each in self.columns.items() if name != variable}
        columns[variable] = VariableColumn([first for first, _ in parts], [last for _, last in parts])
        return Bundle(columns, [self.elements[row] for row in rows])

    def values(self, variable: str) -> Spans:
        column = self.columns[variable]
        if column.exact:
            return Spans.of((value, value) for value in set(column.lows))
        return Spans.of(set(zip(column.lows, column.highs, strict=True)))


@dataclass(frozen=True, eq=False)
class Space:
    """Variables depend on one another only within a bundle. What `without` has is left out."""

    domains: Mapping[str, Spans] = field(default_factory=dict)  # of variables in no bundle
    bundles: tuple[Bundle, ...] = ()
    without: tuple[Without, ...] = ()

    def bundle_of(self, variable: str) -> Bundle | None:
        return next((bundle for bundle in self.bundles if variable in bundle.columns), None)

    def values(self, term: Term) -> Spans:
        """Every value that the term may have."""
        bundle = self.bundle_of(term.variable)
        found = bundle.values(term.variable) if bundle else self.domains[term.variable]
        return found.shifted(term.offset)

    def is_point(self, term: Term) -> bool:
        bundle = self.bundle_of(term.variable)
        if bundle is None:
            return self.domains[term.variable].is_point
        low, high = bundle.columns[term.variable].bounds
        return low == high

    def split(self, term: Term, values: Spans) -> tuple[Space | None, Space | None]:
        """The parts with one of the values, and without; None where no packet is left."""
        variable, asked = term.variable, values.shifted(-term.offset)
        bundle = self.bundle_of(variable)
        if bundle is None:
            domain = self.domains[variable]
            inside = domain & asked
            if inside is domain or inside == domain:
                return self, None
            if not inside:
                return None, self
            return self.narrowed(variable, inside), self.narrowed(variable, domain - asked)
        kept, rest = bundle.split(variable, asked)
        return tuple(  # type: ignore[return-value]
            None if part is None else self if part is bundle else self.with_bundle(part, bundle)
            for part in (kept, rest)
        )

    def narrowed(self, variable: str, values: Spans) -> Space:
        """A variable in no bundle with these values; a new one as well."""
        return replace(self, domains={**self.domains, variable: values})

    def with_bundle(self, bundle: Bundle, instead: Bundle | None = None) -> Space:
        """The space with the bundle; a single row becomes plain values."""
        others = tuple(each for each in self.bundles if each is not instead)
        if len(bundle) > 1:
            domains = {name: values for name, values in self.domains.items() if name not in bundle.columns}
            return replace(self, domains=domains, bundles=(*others, bundle))
        plain = {name: Spans(((c.lows[0], c.highs[0]),)) for name, c in bundle.columns.items()}
        return replace(self, domains={**self.domains, **plain}, bundles=others)

    def excluding(self, terms: tuple[Term, ...], keys: Keys) -> Space:
        return replace(self, without=(*self.without, Without(terms, keys)))

    # ------------------------------------------------------------------ points

    def point(self, preferred: Mapping[str, Sequence[int]] | None = None) -> Point | None:
        """One packet of them; None where there is none."""
        return next(self.points(preferred or {}), None)

    _TRIES = 200_000

    def points(self, preferred: Mapping[str, Sequence[int]]) -> Iterator[Point]:
        """Packets of them, the preferred values first. Not all: enough to find one that is not left out."""
        if not all(self.domains.values()):
            return
        asked = dict.fromkeys(term.variable for each in self.without for term in each.terms)
        fixed = {name: _choice(values, preferred.get(name, ())) for name, values in self.domains.items()}
        tries = 0
        for rows in self._rows():
            for point in self._around({**fixed, **rows}, [name for name in asked if name in self.domains]):
                tries += 1
                if not any(tuple(t.at(point) for t in each.terms) in each.keys for each in self.without):
                    yield point
                    break
                if tries > self._TRIES:
                    return

    def _rows(self) -> Iterator[dict[str, int]]:
        """Row by row of the largest bundle, with the first of the others."""
        if not self.bundles:
            yield {}
            return
        largest = max(self.bundles, key=len)
        first = {
            name: column.lows[0]
            for bundle in self.bundles
            if bundle is not largest
            for name, column in bundle.columns.items()
        }
        for row in range(len(largest)):
            yield {**first, **{name: column.lows[row] for name, column in largest.columns.items()}}

    def _around(self, point: dict[str, int], variables: Sequence[str]) -> Iterator[Point]:
        """The point, and others that differ in one variable after the other."""
        yield point
        if not variables:
            return
        *others, last = variables
        for first, end in self.domains[last]:
            for value in range(first, end + 1):
                if value != point[last]:
                    yield {**point, last: value}
        for first, end in self.domains[others[-1]] if others else ():
            for value in range(first, end + 1):
                if value != point[others[-1]]:
                    yield from self._around({**point, others[-1]: value}, [*others[:-1], last])

    def contains(self, point: Point) -> bool:
        """Does the space hold a packet with these values, whatever the variables that are not named are?"""
        if any(point[name] not in values for name, values in self.domains.items() if name in point):
            return False
        for bundle in self.bundles:
            named = [(column, point[name]) for name, column in bundle.columns.items() if name in point]
            if named and not any(
                all(column.lows[row] <= value <= column.highs[row] for column, value in named)
                for row in range(len(bundle))
            ):
                return False
        return not any(
            all(term.variable in point for term in each.terms)
            and tuple(term.at(point) for term in each.terms) in each.keys
            for each in self.without
        )


def _choice(values: Spans, preferred: Sequence[int]) -> int:
    wished = next((value for value in preferred if value in values), None)
    if wished is not None:
        return wished
    first, last = max(values.parts, key=lambda span: (min(span[1] - span[0], 1), -span[0])) if values else (0, 0)
    return first + 1 if last - first > 1 else first
