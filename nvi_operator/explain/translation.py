"""Destination and source NAT of a new flow: what the kernel does for a `snat`, `dnat` or `redirect` of the table.

Source: nf_nat_core.c (get_unique_tuple(), find_best_ips_proto(), nf_nat_l4proto_unique_tuple()), Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.dataclass import replace
from nvi_operator.explain import lookup
from nvi_operator.explain.fields import Reader
from nvi_operator.explain.index import Index
from nvi_operator.explain.jhash import jhash, scaled
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.numbers import address_span, span_of
from nvi_operator.explain.passing import BY_HASH, Ends, Passing
from nvi_operator.explain.space import Term
from nvi_operator.explain.spans import Spans
from nvi_operator.explain.step import Did, Hook, RuleAt
from nvi_operator.explain.unique import NatRange, unique
from nvi_operator.explain.verdict import Dropped
from nvi_operator.nft.ast import (
    Element,
    Field,
    Hash,
    Interval,
    Lookup,
    NamedSet,
    Nat,
    Numgen,
    Redirect,
    SetRef,
    Value,
)

_Given = tuple[Passing, NatRange]  # what a rule gives a part of the class


class Translator:
    """`indexes` are those of named maps; one of an anonymous map is made when it is first asked."""

    def __init__(self, machine: Machine, reader: Reader, indexes: dict[str, Index]) -> None:
        self._machine = machine
        self._reader = reader
        self.indexes = indexes
        self._anonymous: dict[tuple[frozenset[Element], tuple[str, ...]], Index] = {}

    def index(self, map_: SetRef | frozenset[Element], types: tuple[str, ...], values: tuple[str, ...] = ()) -> Index:
        if isinstance(map_, SetRef):
            return self.indexes[map_.name]
        key = map_, types
        if key not in self._anonymous:
            self._anonymous[key] = Index(NamedSet("", types, map_, values, interval=True))
        return self._anonymous[key]

    def translate(
        self, piece: Passing, nat: Nat | Redirect, at: RuleAt, hook: Hook, ends: Ends
    ) -> tuple[list[Passing], list[Passing]]:
        """The part that is translated, and the part that the rule is not about."""
        if isinstance(nat, Redirect):
            found, rest = list(self._redirect(piece, nat, at, hook, ends)), list[Passing]()
            kind = "dnat"
        else:
            found, rest = self._given(piece, nat)
            kind = nat.kind
        done = [
            each for given, range_ in found for each in apply(given, kind, range_, at, hook, self._machine.entries)
        ]
        return done, rest

    def _redirect(self, piece: Passing, nat: Redirect, at: RuleAt, hook: Hook, ends: Ends) -> Iterator[_Given]:
        """To the first address of the in-interface; where it has none packets are dropped (nf_nat_redirect())."""
        interface = self._machine.interfaces.get(piece.in_interface or "lo")
        own = [a.ip for a in interface.addresses if a.version == piece.family] if interface else []
        if not own:
            ends.put(piece.noted(hook, "dropped", at), Dropped(at.chain))
            return
        address = Spans.one(int(own[0]))
        passing, term = piece.fresh("destination", address)
        yield passing, NatRange(term, ports=None if nat.port is None else (nat.port, nat.port))

    def _given(self, piece: Passing, nat: Nat) -> tuple[list[_Given], list[Passing]]:
        if nat.family != piece.family:
            return [], [piece]
        side = "source" if nat.kind == "snat" else "destination"
        ports = None if nat.ports is None else span_of(nat.ports, "inet_service")
        common = NatRange(piece.now[side], ports, frozenset(nat.flags))
        if isinstance(nat.address, Field):
            reads, rest = self._reader.read(piece, nat.address)
            return [(r.passing, replace(common, address=r.term)) for r in reads if r.term is not None], rest
        if isinstance(nat.address, Lookup):
            return self._looked_up(piece, nat, nat.address, common, side)
        first, last = _span(nat.address)
        passing, term = piece.fresh(side, Spans(((first, last),)))
        return [(passing, replace(common, address=term, is_choice=True))], []

    # ------------------------------------------------------------------ maps

    def _looked_up(
        self, piece: Passing, nat: Nat, asked: Lookup, common: NatRange, side: str
    ) -> tuple[list[_Given], list[Passing]]:
        if isinstance(asked.key, Numgen | Hash):
            return list(self._chosen(piece, asked, common, side)), []
        parts: list[tuple[Passing, tuple[Term, ...], tuple[str, ...]]] = [(piece, (), ())]
        rest: list[Passing] = []
        fields = getattr(asked.key, "fields", (asked.key,))
        for field in fields:
            following = []
            for each, terms, types in parts:
                reads, unread = self._reader.read(each, field)
                rest += unread
                following += [(r.passing, (*terms, r.term), (*types, r.type)) for r in reads if r.term is not None]
            parts = following
        given: list[_Given] = []
        for each, terms, types in parts:
            index = self.index(asked.map, types, ("ipv4_addr" if nat.family == 4 else "ipv6_addr",))
            name = asked.map.name if isinstance(asked.map, SetRef) else ""
            if nat.netmap:
                hits, missed = lookup.each_row(each, terms[0], index)
                given += [(_of_map(hit, name, terms), _to_prefix(common, terms[0], index, row)) for hit, row in hits]
            else:
                names = (side, f"{side}_port")
                found, missed = lookup.translated(each, terms, index, names)
                given += [(_of_map(hit, name, terms), _to_values(common, values)) for hit, values in found]
            rest += missed
        return given, rest

    def _chosen(self, piece: Passing, asked: Lookup, common: NatRange, side: str) -> Iterator[_Given]:
        """By a number: where it is a hash of one packet it is known, and otherwise each value is possible."""
        assert not isinstance(asked.map, SetRef)
        number = self._hash(piece, asked.key) if isinstance(asked.key, Hash) else None
        if number is not None:
            yield self._to(piece, next(v for k, v in asked.map if _has(k[0], number)), common, side)
            return
        by = BY_HASH if isinstance(asked.key, Hash) else "by turn" if _by_turn(asked.key) else "at random"
        values = sorted({value for _, value in asked.map if isinstance(value, tuple)}, key=str)
        for value in values:
            note = (f"{' '.join(map(str, value))} {by}",) if len(values) > 1 else ()
            yield self._to(replace(piece, chosen=(*piece.chosen, *note)), value, common, side)

    def _to(self, piece: Passing, value: object, common: NatRange, side: str) -> _Given:
        assert isinstance(value, tuple)
        passing, term = piece.fresh(side, Spans((_span(value[0]),)))
        ports = (int(value[1]), int(value[1])) if len(value) > 1 else common.ports
        return passing, replace(common, address=term, ports=ports)

    def _hash(self, piece: Passing, key: Hash) -> int | None:
        """nft_jhash_eval(): each field in network order, filled up to four bytes."""
        data = b""
        for field in key.fields:
            reads, unread = self._reader.read(piece, field)
            if unread or len(reads) != 1 or reads[0].term is None:
                return None
            value = piece.value(reads[0].term)
            if value is None:
                return None
            size = {"ipv4_addr": 4, "ipv6_addr": 16, "inet_service": 2}[reads[0].type]
            data += value.to_bytes(size, "big").ljust(size + 3 & ~3, b"\0")
        assert key.seed is not None
        return scaled(jhash(data, key.seed), key.mod)


def apply(
    piece: Passing, kind: str, given: NatRange, at: RuleAt | None, hook: Hook, entries: tuple[object, ...]
) -> Iterator[Passing]:
    """What the packet becomes, and its conntrack entry. Several where ports decide."""
    side = "source" if kind == "snat" else "destination"
    before = piece.shown(side)  # type: ignore[arg-type]
    for part in unique(piece, kind, given, entries):
        changed = _differs(part, piece, side)
        track = part.track
        assert track is not None
        status = track.status | {kind} if changed else track.status
        part = replace(part, track=replace(track, translated=part.now, status=status))
        after = part.shown(side)  # type: ignore[arg-type]
        note = f"counter {', '.join(part.counted)}" if part.counted else ""
        if at is None and not changed:
            yield part
            continue
        changes = ((side, before, after),) if changed else ()
        did: Did = "translated" if changed else "passed"
        step = part.noted(hook, did, at, changes=changes, note=note, element=part.element)
        yield replace(step, changes=(), counted=(), element=None)


def _differs(part: Passing, piece: Passing, side: str) -> bool:
    for name in (side, f"{side}_port"):
        one, other = part.now[name], piece.now[name]
        if one == other:
            continue
        if part.is_point(one, other) and part.value(one) == part.value(other):
            continue
        return True
    return False


def _of_map(piece: Passing, name: str, terms: tuple[Term, ...]) -> Passing:
    return replace(piece, element=(name, terms)) if name else piece


def _to_prefix(common: NatRange, term: Term, index: Index, row: int) -> NatRange:
    """Host parts stay: the address moves as far as its network does."""
    key, datum = index.element(row)
    assert isinstance(datum, tuple)
    by = _span(datum[0])[0] - _span(key[0])[0]
    return replace(common, address=Term(term.variable, term.offset + by))


def _to_values(common: NatRange, values: tuple[Term, ...]) -> NatRange:
    return replace(common, address=values[0], port=values[1] if len(values) > 1 else None)


def _span(value: Value) -> tuple[int, int]:
    if isinstance(value, Interval):
        return address_span(str(value.first))[0], address_span(str(value.last))[1]
    return address_span(str(value))


def _has(slot: Value, number: int) -> bool:
    return slot.first <= number <= slot.last if isinstance(slot, Interval) else slot == number  # type: ignore[operator]


def _by_turn(key: object) -> bool:
    return isinstance(key, Numgen) and key.mode == "inc"
