"""Which part of a class a match of a rule takes, and which part it leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nvi_operator.explain.fields import Read, Reader, UnknownFieldError
from nvi_operator.explain.index import Index
from nvi_operator.explain.numbers import span_of
from nvi_operator.explain.passing import Passing
from nvi_operator.explain.space import Term
from nvi_operator.explain.spans import Spans
from nvi_operator.nft.ast import Field, Interval, Masked, Match, SetRef, Value

Parts = tuple[list[Passing], list[Passing]]  # that match, and that do not
_GROUPS = {4: Spans(((0xE0000000, 0xEFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF))), 6: Spans(((0xFF << 120, (1 << 128) - 1),))}


class Matcher:
    """`reverse_path` says for which part of a class the route back to the source leads by the in-interface."""

    def __init__(
        self, reader: Reader, indexes: Mapping[str, Index], reverse_path: Callable[[Passing], Parts]
    ) -> None:
        self._reader = reader
        self._indexes = indexes
        self._reverse_path = reverse_path
        self._spans: dict[str, Spans] = {}
        self._constants: dict[tuple[Value | frozenset[Value], str], Spans] = {}

    def match(self, passing: Passing, match: Match) -> Parts:
        """UnknownFieldError where the ruleset never writes such a match."""
        if isinstance(match.left, Field) and match.left.name.startswith("fib "):
            return self._fib(passing, match.left.name, match)
        if not isinstance(match.left, Field | Masked):
            raise UnknownFieldError(str(match.left))
        reads, unread = self._reader.read(passing, match.left)
        yes: list[Passing] = []
        no: list[Passing] = list(unread)
        for read in reads:
            inside, outside = self._one(read, match)
            yes += inside
            no += outside
        return yes, no

    def _one(self, read: Read, match: Match) -> Parts:
        if read.term is not None:
            return _split(read.passing, read.term, self._values(match.right, read.type), negated=match.op == "!=")
        holds = self._holds(read.value, match)
        return ([read.passing], []) if holds else ([], [read.passing])

    def _holds(self, value: object, match: Match) -> bool:
        right = match.right
        if isinstance(value, frozenset):  # bits: conntrack states, flags
            asked = right if isinstance(right, frozenset) else frozenset({right})
            return bool(value & asked) == (match.op in ("in", "=="))
        if isinstance(right, SetRef):
            raise UnknownFieldError(f"a lookup of {match.left} in @{right.name}")
        values: frozenset[Value] = right if isinstance(right, frozenset) else frozenset({right})
        return any(_is(value, each) for each in values) == (match.op in ("in", "=="))

    def _values(self, right: Value | SetRef | frozenset[Value], type_: str) -> Spans:
        if isinstance(right, SetRef):
            return self.of_set(right.name)
        known = self._constants.get((right, type_))
        if known is None:
            members = right if isinstance(right, frozenset) else (right,)
            known = self._constants[right, type_] = Spans.of(span_of(member, type_) for member in members)
        return known

    def of_set(self, name: str) -> Spans:
        """Every value of a set with one field."""
        if name not in self._spans:
            (column,) = self._indexes[name].columns
            self._spans[name] = Spans.of(zip(column.lows, column.highs, strict=True))
        return self._spans[name]

    def _fib(self, passing: Passing, name: str, match: Match) -> Parts:
        local = self._reader.local
        match name:
            case "fib saddr type" if match.right == "local":
                return _split(passing, passing.now["source"], local(passing), negated=match.op == "!=")
            case "fib saddr . iif type" if match.right == "local":
                own = local(passing, passing.in_interface or "lo")
                return _split(passing, passing.now["source"], own, negated=match.op == "!=")
            case "fib daddr type" if match.right == frozenset({"multicast", "broadcast"}):
                return _split(passing, passing.now["destination"], _GROUPS[passing.family], negated=match.op == "!=")
            case "fib saddr . iif oif" if match.right == "missing":
                found, missing = self._reverse_path(passing)
                return (missing, found) if match.op == "==" else (found, missing)
        raise UnknownFieldError(name)


def _is(value: object, asked: Value) -> bool:
    if isinstance(asked, Interval):
        return isinstance(value, int) and int(asked.first) <= value <= int(asked.last)
    return value == asked


def _split(passing: Passing, term: Term, values: Spans, *, negated: bool) -> Parts:
    inside, outside = passing.split(term, values)
    yes, no = (outside, inside) if negated else (inside, outside)
    return [yes] if yes is not None else [], [no] if no is not None else []
