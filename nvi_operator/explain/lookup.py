"""Lookups in maps: the classes that find an element, and what it holds, and those that find none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product

from nvi_operator.dataclass import replace
from nvi_operator.explain.index import Datum, Index
from nvi_operator.explain.passing import Passing, fresh_term
from nvi_operator.explain.space import Bundle, Space, Term, VariableColumn
from nvi_operator.explain.spans import Spans

Hit = tuple[Passing, int]  # with the row of the index


def grouped(
    passing: Passing, terms: tuple[Term, ...], index: Index
) -> tuple[list[tuple[Passing, Datum]], list[Passing]]:
    """The packets by what the elements hold (verdicts, marks and zones, of which there are few), and the rest."""
    if len(terms) == 1:
        return _by_spans(passing, terms[0], index)
    found = joined(passing.space, terms, index)
    if found is None:
        return [], [passing]
    bundle, base = found
    rows: dict[Datum, list[int]] = defaultdict(list)
    for at, row in enumerate(bundle.elements):
        rows[index.datum(row)].append(at)  # type: ignore[arg-type]
    hits = [(_tied(passing, base, bundle.picked(picked)), datum) for datum, picked in rows.items()]
    return hits, missed(passing, terms, index, bundle)


def _by_spans(passing: Passing, term: Term, index: Index) -> tuple[list[tuple[Passing, Datum]], list[Passing]]:
    hits: list[tuple[Passing, Datum]] = []
    rest: Passing | None = passing
    for datum, spans in index.spans.items():
        if rest is not None:
            inside, rest = rest.split(term, spans)
            if inside is not None:
                hits.append((inside, datum))
    return hits, [rest] if rest is not None else []


def translated(
    passing: Passing, terms: tuple[Term, ...], index: Index, names: Sequence[str]
) -> tuple[list[tuple[Passing, tuple[Term, ...]]], list[Passing]]:
    """The packets with variables, called by `names`, for the address and port that elements hold; and the rest."""
    found = joined(passing.space, terms, index)
    if found is None:
        return [], [passing]
    bundle, base = found
    values = index.values
    assert values is not None
    new = [fresh_term(name) for name, _ in zip(names, values, strict=False)]
    rows: Sequence[int] = bundle.elements  # type: ignore[assignment]
    columns = dict(bundle.columns)
    for term, value in zip(new, values, strict=False):
        picked = [value[row] for row in rows]
        columns[term.variable] = VariableColumn(picked, picked)
    hit = _tied(passing, base, Bundle(columns, rows))
    return [(hit, tuple(new))], missed(passing, terms, index, bundle)


def each_row(passing: Passing, term: Term, index: Index) -> tuple[list[Hit], list[Passing]]:
    """Row by row: for prefixes, where each element adds another offset."""
    hits: list[Hit] = []
    rest: Passing | None = passing
    column = index.columns[0]
    for row in range(len(index)):
        if rest is not None:
            inside, rest = rest.split(term, Spans(((column.lows[row], column.highs[row]),)))
            if inside is not None:
                hits.append((inside, row))
    return hits, [rest] if rest is not None else []


def missed(passing: Passing, terms: tuple[Term, ...], index: Index, hit: Bundle) -> list[Passing]:
    """The packets that find no element."""
    space = passing.space
    if all(space.is_point(term) for term in terms):
        return []
    if len(terms) == 1:
        column = hit.columns[terms[0].variable]
        spans = Spans.of(zip(column.lows, column.highs, strict=True)).shifted(terms[0].offset)
        _, rest = passing.split(terms[0], spans)
        return [rest] if rest is not None else []
    tied = space.bundle_of(terms[0].variable)
    if tied is not None and all(term.variable in tied.columns for term in terms) and _all_exact(tied, terms):
        names = [term.variable for term in terms]
        keys = set(zip(*(hit.columns[name].lows for name in names), strict=True))
        own = zip(*(tied.columns[name].lows for name in names), strict=True)
        others = [row for row, key in enumerate(own) if key not in keys]
        return [replace(passing, space=space.with_bundle(tied.picked(others), tied))] if others else []
    return [replace(passing, space=space.excluding(terms, index))]


def _tied(passing: Passing, base: Space, bundle: Bundle) -> Passing:
    return replace(passing, space=base.with_bundle(bundle))


def joined(space: Space, terms: tuple[Term, ...], index: Index) -> tuple[Bundle, Space] | None:
    """The rows that match, with the space that they are to be put into; None where no row does."""
    bundles = list(dict.fromkeys(b for term in terms if (b := space.bundle_of(term.variable)) is not None))
    if not bundles:
        bundle = _rows_of(space, terms, index)
        return None if bundle is None else (bundle, space)
    base = replace(space, bundles=tuple(b for b in space.bundles if b not in bundles))
    whole = bundles[0] if len(bundles) == 1 else _product(bundles)
    bundle = _join(space, whole, terms, index)
    return None if bundle is None else (bundle, base)


def _rows_of(space: Space, terms: tuple[Term, ...], index: Index) -> Bundle | None:
    rows: Sequence[int] = range(len(index))
    spread: list[tuple[Term, VariableColumn, Spans]] = []
    for term, column in zip(terms, index.columns, strict=True):
        if not rows:
            return None
        domain = space.values(term)
        low, high = column.bounds
        if any(first <= low and high <= last for first, last in domain):
            pass
        elif not domain or high < domain.first or domain.last < low:
            return None
        elif column.exact:
            rows = _within(column.lows, rows, domain)
        else:
            rows = [row for row in rows if domain & Spans(((column.lows[row], column.highs[row]),))]
            spread.append((term, column, domain))
    if not rows:
        return None
    columns = {
        term.variable: _shifted(column if len(rows) == len(index) else column.picked(rows), -term.offset)
        for term, column in zip(terms, index.columns, strict=True)
    }
    bundle = Bundle(columns, list(rows))
    for term, _, domain in spread:
        bundle = bundle.split(term.variable, domain.shifted(-term.offset))[0] or bundle
    return bundle


def _within(values: Sequence[int], rows: Sequence[int], domain: Spans) -> list[int]:
    if len(domain.parts) == 1:
        first, last = domain.parts[0]
        if first == last:
            return [row for row in rows if values[row] == first]
        return [row for row in rows if first <= values[row] <= last]
    return [row for row in rows if values[row] in domain]


def _shifted(column: VariableColumn, by: int) -> VariableColumn:
    if not by:
        return column
    lows = [value + by for value in column.lows]
    return VariableColumn(lows, lows if column.exact else [value + by for value in column.highs])


def _product(bundles: Sequence[Bundle]) -> Bundle:
    """Every combination of their rows."""
    picks = list(product(*(range(len(bundle)) for bundle in bundles)))
    columns = {
        name: column.picked([pick[at] for pick in picks])
        for at, bundle in enumerate(bundles)
        for name, column in bundle.columns.items()
    }
    return Bundle(columns, [tuple(bundles[at].elements[row] for at, row in enumerate(pick)) for pick in picks])


def _all_exact(bundle: Bundle, terms: tuple[Term, ...]) -> bool:
    return all(bundle.columns[term.variable].exact for term in terms)


def _join(space: Space, bundle: Bundle, terms: tuple[Term, ...], index: Index) -> Bundle | None:
    """Rows of the bundle with those elements that they match."""
    keys = list(zip(terms, index.columns, strict=True))
    tied = [(term, column) for term, column in keys if term.variable in bundle.columns]
    free = [(term, column, space.values(term)) for term, column in keys if term.variable not in bundle.columns]
    pairs = [
        (row, element)
        for row, element in _pairs(bundle, tied, len(index))
        if all(domain & Spans(((c.lows[element], c.highs[element]),)) for _, c, domain in free)
    ]
    if not pairs:
        return None
    rows, elements = [row for row, _ in pairs], [element for _, element in pairs]
    columns = {name: column.picked(rows) for name, column in bundle.columns.items()}
    for term, column in tied:
        own, there = columns[term.variable], _shifted(column.picked(elements), -term.offset)
        lows = [max(pair) for pair in zip(own.lows, there.lows, strict=True)]
        highs = [min(pair) for pair in zip(own.highs, there.highs, strict=True)]
        columns[term.variable] = VariableColumn(lows, lows if lows == highs else highs)
    for term, column, _ in free:
        columns[term.variable] = _shifted(column.picked(elements), -term.offset)
    made = Bundle(columns, elements)
    for term, _, domain in free:
        made = made.split(term.variable, domain.shifted(-term.offset))[0] or made
    return made


def _pairs(bundle: Bundle, tied: Sequence[tuple[Term, VariableColumn]], count: int) -> Iterator[tuple[int, int]]:
    if all(column.exact and bundle.columns[term.variable].exact for term, column in tied):
        by_key: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for element, key in enumerate(zip(*(column.lows for _, column in tied), strict=True)):
            by_key[key].append(element)
        own = zip(*([v + t.offset for v in bundle.columns[t.variable].lows] for t, _ in tied), strict=True)
        for row, key in enumerate(own):
            yield from ((row, element) for element in by_key.get(key, ()))
        return
    sides = [(_shifted(bundle.columns[term.variable], term.offset), column) for term, column in tied]
    for row in range(len(bundle)):
        for element in range(count):
            if all(o.lows[row] <= c.highs[element] and c.lows[element] <= o.highs[row] for o, c in sides):
                yield row, element
