"""The chains of the table: rule by rule, each with the part of a class that comes to it."""

from __future__ import annotations

from nvi_operator.dataclass import replace
from nvi_operator.explain import lookup
from nvi_operator.explain.fields import Reader, UnknownFieldError
from nvi_operator.explain.index import Datum, Index
from nvi_operator.explain.limits import Limit
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.matching import Matcher, Parts
from nvi_operator.explain.passing import Ends, Passing
from nvi_operator.explain.space import Term
from nvi_operator.explain.step import Hook, RuleAt
from nvi_operator.explain.translation import Translator
from nvi_operator.explain.verdict import Dropped, NotModelled
from nvi_operator.nft.ast import (
    Assign,
    Chain,
    Concat,
    Count,
    Element,
    Hash,
    Key,
    Lookup,
    Match,
    Nat,
    Notrack,
    Numgen,
    Redirect,
    SetBits,
    SetRef,
    Statement,
    Table,
    Verdict,
    Vmap,
)

# Where the packet goes from a rule: on to the next one, back to the chain that jumped, or out of the base chain.
_Flow = tuple[list[Passing], list[Passing], list[Passing]]


class Chains:
    """The table's base chains, and what their rules do to packets."""

    def __init__(self, machine: Machine, matcher: Matcher, reader: Reader, translator: Translator) -> None:
        self._machine = machine
        self._reader = reader
        self._matcher = matcher
        self._translator = translator
        self.table = table_of(machine)
        self._chains = {chain.name: chain for chain in self.table.chains}

    def base(self, hook: Hook) -> list[Chain]:
        """The base chains of a hook in the order in which packets meet them.

        NAT chains are all called by one hook of the kernel, at -100 or 100, whatever their own priority is.
        """
        found = [c for c in self._chains.values() if c.hook is not None and c.hook.hook == hook]
        return sorted(found, key=_priority)

    def run(self, chain: Chain, passings: list[Passing], hook: Hook, ends: Ends) -> list[Passing]:
        """What comes out of a base chain."""
        through, accepted = self._run(chain, passings, hook, ends)
        return [*through, *accepted]

    def _run(
        self, chain: Chain, passings: list[Passing], hook: Hook, ends: Ends
    ) -> tuple[list[Passing], list[Passing]]:
        returned: list[Passing] = []
        accepted: list[Passing] = []
        current = passings
        for number, rule in enumerate(chain.rules):
            if not current:
                break
            at = RuleAt(chain.name, number, rule)
            following: list[Passing] = []
            for passing in current:
                try:
                    on, back, out = self._rule(at, passing, hook, ends)
                except UnknownFieldError as error:
                    ends.put(passing, NotModelled(Limit.FOREIGN_STATEMENT, f"{chain.name}: {error}"))
                    continue
                following += on
                returned += back
                accepted += out
            current = following
        return [*current, *returned], accepted

    def _rule(self, at: RuleAt, passing: Passing, hook: Hook, ends: Ends) -> _Flow:
        on: list[Passing] = []
        back: list[Passing] = []
        out: list[Passing] = []
        pieces = [passing]
        for statement in at.rule:
            following: list[Passing] = []
            for piece in pieces:
                if isinstance(statement, Match):
                    yes, no = self._matcher.match(piece, statement)
                    following += yes
                    on += [_done(left, at, hook) for left in no]
                elif isinstance(statement, Verdict):
                    self._verdict(statement, at, piece, hook, ends, (on, back, out))
                elif isinstance(statement, Vmap):
                    hits, misses = self.lookup(piece, statement.key, statement.map)
                    on += [_done(left, at, hook) for left in misses]
                    for hit, verdict in hits:
                        assert isinstance(verdict, Verdict)
                        self._verdict(verdict, at, hit, hook, ends, (on, back, out))
                elif isinstance(statement, Nat | Redirect):
                    done, no = self._translator.translate(piece, statement, at, hook, ends)
                    out += done
                    on += [_done(left, at, hook) for left in no]
                else:
                    yes, no = self._effect(piece, statement)
                    following += yes
                    on += [_done(left, at, hook) for left in no]
            pieces = following
        return [*on, *(_done(piece, at, hook) for piece in pieces)], back, out

    def _verdict(self, verdict: Verdict, at: RuleAt, piece: Passing, hook: Hook, ends: Ends, flow: _Flow) -> None:
        on, back, out = flow
        match verdict.kind:
            case "accept":
                out.append(_done(piece, at, hook, "passed"))
            case "return":
                back.append(_done(piece, at, hook))
            case "drop":
                counter = next((s.counter for s in at.rule if isinstance(s, Count)), None)
                ends.put(_done(piece, at, hook, "dropped"), Dropped(at.chain, counter))
            case "jump":
                through, accepted = self._run(self._chains[str(verdict.target)], [_done(piece, at, hook)], hook, ends)
                on += through
                out += accepted

    # ------------------------------------------------------------------ statements

    def _effect(self, piece: Passing, statement: Statement) -> Parts:
        """The part for which the rule goes on, and the part for which it ends here."""
        match statement:
            case Count(counter):
                return [replace(piece, counted=(*piece.counted, counter))], []
            case Notrack():
                return [replace(piece, state="untracked", track=None)], []
            case SetBits(field, set_, clear):
                return self._write(piece, field.name, lambda value: value & ~clear | set_), []
            case Assign(field, int(value)):
                return self._write(piece, field.name, lambda _: value), []
            case Assign(field, Lookup(key, map_)):
                hits, misses = self.lookup(piece, key, map_)
                written: list[Passing] = []
                for hit, datum in hits:
                    assert isinstance(datum, tuple)
                    (number,) = datum
                    assert isinstance(number, int)
                    written += self._write(hit, field.name, lambda _, number=number: number)
                return written, misses
        raise UnknownFieldError(type(statement).__name__)

    def _write(self, piece: Passing, name: str, value: object) -> list[Passing]:
        assert callable(value)
        match name:
            case "meta mark":
                return [replace(piece, mark=new).changed("mark", piece.mark, new) for new in [value(piece.mark)]]
            case "ct mark":
                track = piece.track
                if track is None:
                    return [piece]
                new = value(track.mark)
                return [replace(piece, track=replace(track, mark=new)).changed("ct mark", track.mark, new)]
            case "ct original zone":
                return [replace(piece, zone=value(0)).changed("zone", piece.zone, value(0))]
            case "tcp option maxseg size":
                return [piece.changed("maximum segment size", None, value(0))]
        raise UnknownFieldError(name)

    # ------------------------------------------------------------------ maps

    def lookup(
        self, piece: Passing, key: Key, map_: SetRef | frozenset[Element]
    ) -> tuple[list[tuple[Passing, Datum]], list[Passing]]:
        """The packets by what the map has for them, and those for which it has nothing."""
        if isinstance(key, Numgen | Hash):
            raise UnknownFieldError(type(key).__name__)
        fields = key.fields if isinstance(key, Concat) else (key,)
        parts: list[tuple[Passing, list[Term | object], list[str]]] = [(piece, [], [])]
        misses: list[Passing] = []
        for field in fields:
            following = []
            for each, terms, types in parts:
                reads, unread = self._reader.read(each, field)
                misses += unread
                following += [
                    (r.passing, [*terms, r.term if r.term is not None else r.value], [*types, r.type]) for r in reads
                ]
            parts = following
        hits: list[tuple[Passing, Datum]] = []
        for each, terms, types in parts:
            if any(isinstance(term, Term) for term in terms):
                found, missed = self._by_terms(each, terms, types, map_)
            else:
                found, missed = self._by_values(each, tuple(terms), map_)
            hits += found
            misses += missed
        return hits, misses

    def _by_terms(
        self, piece: Passing, terms: list[Term | object], types: list[str], map_: SetRef | frozenset[Element]
    ) -> tuple[list[tuple[Passing, Datum]], list[Passing]]:
        if not all(isinstance(term, Term) for term in terms):
            raise UnknownFieldError("a key of fields and marks")
        index = self._translator.index(map_, tuple(types))
        asked = tuple(term for term in terms if isinstance(term, Term))
        hits, missed = lookup.grouped(piece, asked, index)
        if isinstance(map_, SetRef):
            hits = [(replace(hit, element=(map_.name, asked)), datum) for hit, datum in hits]
        return hits, missed

    def _by_values(
        self, piece: Passing, values: tuple[object, ...], map_: SetRef | frozenset[Element]
    ) -> tuple[list[tuple[Passing, Datum]], list[Passing]]:
        elements = self._translator.indexes[map_.name].elements if isinstance(map_, SetRef) else map_
        for key, datum in elements:
            if key == values:
                return [(piece, datum)], []
        return [], [piece]


def _priority(chain: Chain) -> int:
    assert chain.hook is not None
    if chain.hook.type != "nat":
        return chain.hook.priority
    return -100 if chain.hook.hook in ("prerouting", "output") else 100


def table_of(machine: Machine) -> Table:
    """The gateway's table; an empty one where it is missing."""
    return next((table for table in machine.state.of_kind("nft-table") if isinstance(table, Table)), Table("nvi"))


def indexes_of(table: Table) -> dict[str, Index]:
    return {named.name: Index(named) for named in table.sets}


def _done(piece: Passing, at: RuleAt, hook: Hook, did: str = "") -> Passing:
    """Add a step where the rule had an effect, or ends the packet's way through the chain."""
    if not piece.changes and not did and not piece.counted:
        return replace(piece, element=None) if piece.element is not None else piece
    if not did:
        did = "marked" if piece.changes else "counted"
    step = piece.noted(hook, did, at, changes=piece.changes, element=piece.element, note=_counters(piece))
    return replace(step, changes=(), counted=(), element=None)


def _counters(piece: Passing) -> str:
    return f"counter {', '.join(piece.counted)}" if piece.counted else ""
