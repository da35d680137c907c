"""A class of packets in the middle of its way: what it looks like now, and what conntrack knows of it. Immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from itertools import count
from typing import Literal

from nvi_operator.dataclass import dataclass, replace
from nvi_operator.explain.flow import ConntrackEntry
from nvi_operator.explain.packet import ICMP_OF, WITH_PORTS
from nvi_operator.explain.region import FIELDS, Region
from nvi_operator.explain.space import Space, Term
from nvi_operator.explain.spans import Spans
from nvi_operator.explain.step import Hook
from nvi_operator.explain.verdict import Verdict
from nvi_operator.language.model.values import Family

Terms = Mapping[str, Term]
State = Literal["new", "established", "related", "invalid", "untracked"]
Direction = Literal["original", "reply"]

BY_HASH = "by hash"  # ends what `chosen` says: of one packet it is computed

_fresh = count()


def fresh_term(name: str) -> Term:
    """A term of a variable that no space has yet."""
    return Term(f"{name}#{next(_fresh)}")


@dataclass(frozen=True)
class Shown:
    """An address, and a port where there is one, of which the value is known once there is an example."""

    address: Term
    port: Term | None = None


@dataclass(frozen=True)
class Noted:
    """A step (step.py) whose values are terms still. `key` tells the element of a map that matched: set and key."""

    hook: Hook
    did: str
    stage: int
    subject: object | None = None
    changes: tuple[tuple[str, object, object], ...] = ()
    note: str = ""
    element: tuple[str, tuple[Term, ...]] | None = None


@dataclass(frozen=True)
class Track:
    """The conntrack entry of the packet. `original` are the terms of the first packet, `translated` what it became.

    `status`: snat, dnat, confirmed. `zone` is that of the original direction.
    """

    original: Terms
    translated: Terms
    direction: Direction = "original"
    zone: int = 0
    mark: int = 0
    status: frozenset[str] = frozenset()
    known: ConntrackEntry | None = None  # the entry of an earlier packet
    answered: bool = False


@dataclass(frozen=True, eq=False)
class Passing:
    """Packets that are at one point of their way, and alike so far. Each step makes another one."""

    region: Region
    space: Space
    now: Terms
    in_interface: str | None
    came_in: str | None  # the same where the way begins: the device may hand own packets back by itself
    began: Terms  # and what the packet looked like there
    out_interface: str | None = None
    stage: Literal[0, 1, 2] = 1
    mark: int = 0
    rerouted: int | None = None  # of an own packet: the mark by which a chain had it routed again
    flags: frozenset[str] = frozenset()
    state: State | None = None  # None: before conntrack
    track: Track | None = None
    zone: int = 0
    ttl: int = 64
    passes: int = 0  # through the device
    flow: Track | None = None  # the entry that was confirmed first, in stage 1
    expected: Track | None = None  # of an answer, or an error: the flow that it belongs to
    is_error: bool = False  # of ICMP, about a packet of that flow
    near: str | None = None  # of an echo that the gateway answers: by which interface it came
    steps: tuple[Noted, ...] = ()
    chosen: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    # Of the statements of one rule so far.
    changes: tuple[tuple[str, object, object], ...] = ()
    element: tuple[str, tuple[Term, ...]] | None = None

    @property
    def family(self) -> Family:
        return self.region.family

    @property
    def is_own(self) -> bool:
        return self.in_interface is None

    def split(self, term: Term, values: Spans) -> tuple[Passing | None, Passing | None]:
        """The parts with one of the values, and without."""
        inside, outside = self.space.split(term, values)
        return (
            None if inside is None else self if inside is self.space else replace(self, space=inside),
            None if outside is None else self if outside is self.space else replace(self, space=outside),
        )

    def of_protocols(self, *protocols: int) -> tuple[Passing | None, Passing | None]:
        return self.split(self.now["protocol"], Spans.of((p, p) for p in protocols))

    def fresh(self, name: str, values: Spans) -> tuple[Passing, Term]:
        """The class with a variable of its own for a value that is chosen now."""
        term = fresh_term(name)
        return replace(self, space=self.space.narrowed(term.variable, values)), term

    def value(self, term: Term) -> int | None:
        """Its value where it is the same for the whole class."""
        return self.space.values(term).first if self.space.is_point(term) else None

    def is_point(self, *terms: Term) -> bool:
        return all(self.space.is_point(term) for term in terms)

    def with_now(self, **terms: Term) -> Passing:
        return replace(self, now={**self.now, **terms})

    def shown(self, side: Literal["source", "destination"]) -> Shown:
        has_port = self.protocols <= WITH_PORTS or (side == "source" and self.protocols == {ICMP_OF[self.family]})
        return Shown(self.now[side], self.now[f"{side}_port"] if has_port else None)

    @property
    def protocols(self) -> set[int]:
        values = self.space.values(self.now["protocol"])
        return {n for first, last in values for n in range(first, last + 1)}

    def noted(
        self,
        hook: Hook,
        did: str,
        subject: object | None = None,
        *,
        changes: tuple[tuple[str, object, object], ...] = (),
        note: str = "",
        element: tuple[str, tuple[Term, ...]] | None = None,
    ) -> Passing:
        step = Noted(hook, did, self.stage, subject, changes, note, element)
        return replace(self, steps=(*self.steps, step))

    def changed(self, name: str, before: object, after: object) -> Passing:
        """Remembers a change for the step of the rule that is being evaluated."""
        return replace(self, changes=(*self.changes, (name, before, after)))


def entering(region: Region, ifname: str | None) -> Passing:
    """The packets of a region where they come in by this interface; None: where the gateway sends them."""
    terms, like = {name: Term(name) for name in FIELDS}, region.like
    return Passing(
        region,
        region.space,
        terms,
        ifname,
        ifname,
        terms,
        stage=0 if ifname is None else 1,
        mark=like.mark,
        flags=like.tcp_flags,
        ttl=like.ttl,
    )


@dataclass
class Ends:
    """The classes whose way has ended, with the verdict."""

    found: list[tuple[Passing, Verdict]] = field(default_factory=list)

    def put(self, passing: Passing, verdict: Verdict) -> None:
        self.found.append((passing, verdict))
