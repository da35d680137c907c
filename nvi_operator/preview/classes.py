"""The classes of flows that a change treats otherwise than before: all of them, by the walker over regions.

A region is walked through the gateway as it was. What comes out are classes of one outcome each, and each of them is
walked through the gateway as it will be, which splits it further. So no packet is left out, and none is a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import add

from nvi_operator.dataclass import dataclass, replace
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import Packet
from nvi_operator.explain.region import FIELDS, Region
from nvi_operator.explain.space import Bundle, Space, Term
from nvi_operator.explain.spans import NOTHING, Spans
from nvi_operator.explain.verdict import Delivered, Forwarded
from nvi_operator.explain.walk import Walk, reply, walks
from nvi_operator.language.model.values import Address, Family
from nvi_operator.preview.alike import answers_alike, same_way
from nvi_operator.preview.outcome import FlowOutcome, outcome_of, reaches_no_host, wrong_with
from nvi_operator.preview.regions import regions
from nvi_operator.topology.model import Topology

_SENT_TO = Term("destination").variable
MOST_ROWS = 100  # of a map, that are told one by one


@dataclass(frozen=True)
class GatewaySide:
    """One side: what the spec means, and the machine that packets are walked through."""

    topology: Topology
    machine: Machine

    def outcome(self, walk: Walk) -> FlowOutcome:
        """What becomes of the packets of a walk and of their answers."""
        return outcome_of(walk, reply(self.machine, walk), self.topology)


@dataclass(frozen=True)
class FlowChange:
    """Flows that have another outcome than before.

    sources: by the interface that they come in by; None: the gateway itself, where 0 is what its route chooses.
    services: destination ports by protocol; of protocols without ports they mean nothing.
    before, after: several where the kernel chooses. `example` is one packet that opens such a flow.
    """

    family: Family
    sources: Mapping[str | None, Spans]
    destinations: Spans
    services: tuple[tuple[int, Spans], ...]
    before: frozenset[FlowOutcome]
    after: frozenset[FlowOutcome]
    example: Packet
    asked: Mapping[str | None, Spans]  # all sources that were looked at
    names: Mapping[str, str]  # of uplinks by interface, where it has one

    @property
    def outcomes(self) -> tuple[frozenset[FlowOutcome], frozenset[FlowOutcome]]:
        return self.before, self.after

    def joined(self, other: FlowChange) -> FlowChange:
        """This change and another one with the same outcomes, as one."""
        sources, services = dict(self.sources), dict(self.services)
        asked = {**self.asked, **other.asked}
        for ifname, spans in other.sources.items():
            sources[ifname] = sources.get(ifname, NOTHING) | spans
        for protocol, ports in other.services:
            services[protocol] = services.get(protocol, NOTHING) | ports
        return replace(
            self,
            sources=sources,
            destinations=self.destinations | other.destinations,
            services=tuple(sorted(services.items())),
            asked=asked,
        )


def flow_changes(before: GatewaySide, after: GatewaySide, only: Sequence[Address] | None = None) -> list[FlowChange]:
    """Flows of one outcome are one change. `only`: of flows to these addresses."""
    found: dict[object, FlowChange] = {}
    alike_answers = answers_alike((before.topology, before.machine), (after.topology, after.machine))
    own = {a.ip for side in (before, after) for i in side.machine.interfaces.values() for a in i.addresses}
    for region in regions(before.topology, after.topology, own, only):
        for change in _changes_of(region, before, after, alike_answers=alike_answers):
            _join(found, (change.family, change.outcomes, tuple(change.sources)), change)
    alike: dict[object, FlowChange] = {}
    for change in found.values():
        _join(alike, (change.family, change.outcomes, change.destinations, change.services), change)
    return list(alike.values())


def _join(found: dict[object, FlowChange], key: object, change: FlowChange) -> None:
    found[key] = found[key].joined(change) if key in found else change


# --------------------------------------------------------------------------- one region


def _changes_of(
    region: Region, before: GatewaySide, after: GatewaySide, *, alike_answers: bool
) -> Iterator[FlowChange]:
    names = _names(before, after)
    # Where the kernel chooses, many walks are of one class.
    arrived, lost, compared = set[object](), set[object](), set[object]()
    for was in _lost_as_one(walks(before.machine, region)):
        if was.chosen and _is_known(was.region, lost if _is_lost(was) else arrived):
            continue
        for now in walks(after.machine, was.region):
            if _is_lost(was) and _is_lost(now):
                continue
            if was.chosen or now.chosen:
                if not _is_known(now.region, compared):
                    yield from _chosen(region, now.region, before, after)
                continue
            for part in _parts(was, now):
                ways = _narrowed(was, part), _narrowed(now, part)
                if alike_answers and same_way(*ways):
                    continue
                for space, old, new in _outcomes(before, after, *ways):
                    if old != new and not (reaches_no_host(old) and reaches_no_host(new)):
                        yield from _change(region, replace(now.region, space=space), {old}, {new}, names)


def _lost_as_one(found: Iterable[Walk]) -> Iterator[Walk]:
    """Of packets that are lost it does not matter which of a table's routes refused them."""
    lost: list[Walk] = []
    for walk in found:
        if _is_lost(walk):
            lost.append(walk)
        else:
            yield walk
    for space, (first, *_) in _joined(lost, lambda walk: (walk.verdict, walk.chosen)):
        yield _narrowed(first, space)


def _joined(found: Iterable[Walk], key: Callable[[Walk], object]) -> Iterator[tuple[Space, list[Walk]]]:
    """Walks of one key that differ only in where their packets are sent, with the space of all of them."""
    alike: dict[object, list[Walk]] = {}
    for walk in found:
        space = walk.region.space
        others = tuple(item for item in space.domains.items() if item[0] != _SENT_TO)
        alike.setdefault((key(walk), others, space.bundles, space.without), []).append(walk)
    for of_one in alike.values():
        spaces = [walk.region.space for walk in of_one]
        if len(spaces) == 1 or _SENT_TO not in spaces[0].domains:  # rows of one map are the same packets
            yield spaces[0], of_one
        else:
            sent_to = Spans.of(span for space in spaces for span in space.domains[_SENT_TO])
            yield spaces[0].narrowed(_SENT_TO, sent_to), of_one


def _is_known(region: Region, known: set[object]) -> bool:
    """Is it one of those, by the packets as they come in? From now on it is."""
    space = region.space
    one = tuple(space.values(Term(name)) for name in FIELDS), space.bundles, space.without
    is_known = one in known
    known.add(one)
    return is_known


def _outcomes(
    before: GatewaySide, after: GatewaySide, was: Walk, now: Walk
) -> Iterator[tuple[Space, FlowOutcome, FlowOutcome]]:
    """The outcomes of one class, and of its parts where answers part by whom they go to."""
    for part, answers in _by_answer(after, now):
        for space, old_answers in _by_answer(before, _narrowed(was, part)):
            yield (
                space,
                outcome_of(_narrowed(was, space), _within(old_answers, space), before.topology),
                outcome_of(_narrowed(now, space), _within(answers, space), after.topology),
            )


def _by_answer(side: GatewaySide, walk: Walk) -> Iterator[tuple[Space, Sequence[Walk]]]:
    answers = reply(side.machine, walk)
    if _is_of_all(answers):
        yield walk.space, answers
        return
    wrong = {id(answer): wrong_with(walk, answer, side.topology) for answer in answers}
    if len(set(wrong.values())) == 1:
        yield walk.space, answers
    else:
        yield from _joined(answers, lambda answer: wrong[id(answer)])


def _within(answers: Sequence[Walk], space: Space) -> Iterable[Walk]:
    """The answers to a part of the packets. Those to parts of a class that fare alike are judged each by its own."""
    return (_narrowed(answer, space) for answer in answers) if _is_of_all(answers) else answers


def _is_of_all(answers: Sequence[Walk]) -> bool:
    """Is each an answer to all packets of a class, rather than to a part of them?"""
    return len(answers) < 2 or any(answer.chosen for answer in answers)


def _names(*sides: GatewaySide) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for uplink in (uplink for side in sides for uplink in side.topology.uplinks):
        found.setdefault(uplink.interface.ifname, set()).add(uplink.name)
    return {ifname: name for ifname, (name, *others) in found.items() if not others}


def _chosen(whole: Region, region: Region, before: GatewaySide, after: GatewaySide) -> Iterator[FlowChange]:
    """Where the kernel chooses, all that it may choose is compared."""
    old, new = ({side.outcome(walk) for walk in walks(side.machine, region)} for side in (before, after))
    if old != new:
        yield from _change(whole, region, old, new, _names(before, after))


def _change(
    whole: Region, region: Region, old: Iterable[FlowOutcome], new: Iterable[FlowOutcome], names: Mapping[str, str]
) -> Iterator[FlowChange]:
    example = region.example()
    if example is None:  # all of it is what another class has
        return
    services = []
    for first, last in region.values("protocol"):
        for protocol in range(first, last + 1):
            of_protocol, _ = region.space.split(Term("protocol"), Spans.one(protocol))
            if of_protocol is not None:
                services.append((protocol, of_protocol.values(Term("destination_port"))))
    (ifname,) = region.in_interfaces
    yield FlowChange(
        region.family,
        {ifname: region.values("source")},
        region.values("destination"),
        tuple(services),
        frozenset(old),
        frozenset(new),
        example,
        {ifname: whole.values("source")},
        names,
    )


def _is_lost(walk: Walk) -> bool:
    return not isinstance(walk.verdict, Forwarded | Delivered)


def _narrowed(walk: Walk, space: Space) -> Walk:
    return replace(walk, region=replace(walk.region, space=space), space=space)


# --------------------------------------------------------------------------- rows of maps


def _parts(was: Walk, now: Walk) -> Iterator[Space]:
    """One by one the rows of maps that are translated to something else than before, and the rest of the class."""
    space = now.space
    bundle = max(space.bundles, key=len, default=None)
    if bundle is None:
        yield space
        return
    there = _rows_there(space, bundle)
    if not there:
        return
    space = space.with_bundle(bundle.picked(there), bundle)
    bundle = max(space.bundles, key=len, default=None)
    if bundle is None:  # one row
        yield space
        return
    moved = _moved_rows(bundle, was, now)
    rest = [row for row in range(len(bundle)) if row not in moved]
    for rows in (*([row] for row in moved), rest) if len(moved) <= MOST_ROWS else (list(moved), rest):
        if rows:
            yield space.with_bundle(bundle.picked(rows), bundle)


def _rows_there(space: Space, bundle: Bundle) -> list[int]:
    """Without those that other classes have: a class that a map does not match leaves out the keys of the map."""
    rows = list(range(len(bundle)))
    for each in space.without:
        columns = [bundle.columns.get(term.variable) for term in each.terms]
        if all(column is not None and column.exact for column in columns):
            offsets = [term.offset for term in each.terms]
            keys = zip(*(column.lows for column in columns if column), strict=True)
            known = [tuple(map(add, key, offsets)) in each.keys for key in keys]
            rows = [row for row in rows if not known[row]]
    return rows


def _moved_rows(bundle: Bundle, was: Walk, now: Walk) -> dict[int, None]:
    found: dict[int, None] = {}
    for name in ("source", "destination", "destination_port"):
        old, new = (_by_row(now.space, bundle, walk.terms[name]) for walk in (was, now))
        if was.terms[name] != now.terms[name] and old is not None and new is not None:
            found.update((row, None) for row in range(len(bundle)) if old(row) != new(row))
    return found


def _by_row(space: Space, bundle: Bundle, term: Term) -> Callable[[int], tuple[int, int]] | None:
    """The values of the term in a row; None where the rows do not tell."""
    if (column := bundle.columns.get(term.variable)) is not None:
        return lambda row: (column.lows[row] + term.offset, column.highs[row] + term.offset)
    if space.is_point(term):
        value = space.values(term).first
        return lambda row: (value, value)
    return None
