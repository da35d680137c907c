"""The answer: what happens to a packet, hook by hook, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from functools import lru_cache

from nvi_operator.dataclass import dataclass, replace
from nvi_operator.explain.conntrack import entry_at
from nvi_operator.explain.flow import ConntrackEntry
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import ECHO_REPLY, ICMP_OF, Packet, address
from nvi_operator.explain.passes import Passes
from nvi_operator.explain.passing import BY_HASH, Ends, Noted, Passing, Shown, Track, entering
from nvi_operator.explain.region import Region, packet_of
from nvi_operator.explain.space import Point, Space, Term
from nvi_operator.explain.spans import Spans
from nvi_operator.explain.step import ElementOf, FieldChange, RuleAt, Step
from nvi_operator.explain.verdict import Delivered, Forwarded, Verdict
from nvi_operator.language.model.values import Family


@dataclass(frozen=True, eq=False)
class Walk:
    """What happens to a class of packets: all of `region` take the same steps.

    region: the packets, as they come in. `region.example()` is `entering`.
    chosen: what the kernel chooses by itself, so that equal packets may also take another walk: `random server`,
        `port of 203.0.113.1`. Empty: these packets always go this way.
    packet: the example as it leaves, or as it was when it ended. `leaving(field)` has every value in the class.
    entry: the conntrack entry of the example, once it is confirmed; None: it has none.
    """

    region: Region
    entering: Packet
    steps: tuple[Step, ...]
    verdict: Verdict
    packet: Packet
    entry: ConntrackEntry | None = None
    chosen: tuple[str, ...] = ()
    # How the leaving packet and the entry depend on the packet that came in.
    terms: Mapping[str, Term] = field(default_factory=dict)
    space: Space = field(default_factory=Space)
    tracked: Track | None = None

    @property
    def is_hashed(self) -> bool:
        """Is something chosen of which it is known, of one packet, what the kernel chooses?"""
        return any(each.endswith(BY_HASH) for each in self.chosen)

    def leaving(self, name: str) -> Spans:
        """Every value of one of FIELDS (region.py) with which packets of the class leave."""
        return self.space.values(self.terms[name])


def walks(machine: Machine, packet: Packet | Region) -> tuple[Walk, ...]:
    """Everything that may happen to the packet, or to packets of the region.

    One packet has several walks where the kernel chooses (`Walk.chosen`). The regions of the walks of a region cover
    it: every packet of it is in one of them, or in several that differ in what the kernel chose.
    """
    region = packet if isinstance(packet, Region) else Region.of_packet(packet)
    names = sorted(region.in_interfaces, key=lambda name: name or "")
    return walked(machine, (entering(region, ifname) for ifname in names))


def reply(machine: Machine, walk: Walk) -> tuple[Walk, ...]:
    """The way back of the first answer: from where the packets of the walk arrived, with addresses and ports swapped.

    For a walk that was forwarded or delivered; nothing else is answered, and the result is empty. The region of each
    result is still that of the packets that are answered; `entering` is the answer.
    """
    if not isinstance(walk.verdict, Forwarded | Delivered):
        return ()
    return walked(machine, _answers(walk))


def walked(machine: Machine, begun: Iterable[Passing]) -> tuple[Walk, ...]:
    """The ways of classes of packets, from where they come in or are sent."""
    passes, ends = _passes(machine), Ends()
    for passing in begun:
        if passing.is_own:
            passes.emit(passing, ends)
        else:
            passes.receive(passing, ends)
    return tuple(walk for passing, verdict in ends.found if (walk := _finished(machine, passing, verdict)))


@lru_cache(maxsize=8)
def _passes(machine: Machine) -> Passes:
    return Passes(machine)


def _answers(walk: Walk) -> Iterator[Passing]:
    """The packets of the walk with source and destination swapped; an ICMP echo keeps its identifier."""
    ifname = walk.verdict.interface if isinstance(walk.verdict, Forwarded) else None
    terms, region = walk.terms, walk.region
    now = {
        **terms,
        "source": terms["destination"],
        "destination": terms["source"],
        "source_port": terms["destination_port"],
        "destination_port": terms["source_port"],
    }
    track = walk.tracked
    expected = replace(track, direction="reply" if track.direction == "original" else "original") if track else None
    like = replace(
        region.like, tcp_flags=frozenset({"syn", "ack"}), mark=0, ttl=64, length=None, bound_interface=None
    )
    whole = Passing(
        replace(region, like=like),
        walk.space,
        now,
        ifname,
        ifname,
        now,
        stage=1 if ifname else 0,
        flags=like.tcp_flags,
        expected=expected,
    )
    icmp, others = whole.of_protocols(ICMP_OF[region.family])
    if others is not None:
        yield others
    if icmp is not None:
        made, type_ = icmp.fresh("icmp_type", Spans.one(ECHO_REPLY[region.family]))
        made = made.with_now(
            source_port=terms["source_port"], destination_port=terms["destination_port"], icmp_type=type_
        )
        if ifname is None and region.family == 6:  # icmpv6_echo_reply()
            made = replace(made, near=next(iter(region.in_interfaces), None))
        yield replace(made, began=made.now)


# ---------------------------------------------------------------------- from a class to its example


def _finished(machine: Machine, passing: Passing, verdict: Verdict) -> Walk | None:
    """None: no packet is left in the class."""
    region = replace(passing.region, in_interfaces=frozenset({passing.came_in}), space=passing.space)
    point = region.point()
    if point is None:
        return None
    like = passing.region.like
    entering = replace(packet_of(region.family, passing.began, point, like), in_interface=passing.came_in)
    packet = replace(
        packet_of(region.family, passing.now, point, like),
        in_interface=passing.in_interface,
        ttl=passing.ttl,
        mark=passing.mark,
    )
    track = passing.flow or passing.track
    return Walk(
        region,
        entering,
        tuple(_step(machine, passing, noted, point) for noted in passing.steps),
        verdict,
        packet,
        entry_at(track, point, region.family) if track is not None else None,
        passing.chosen,
        passing.now,
        passing.space,
        track,
    )


def _step(machine: Machine, passing: Passing, noted: Noted, point: Point) -> Step:
    subject = noted.subject
    if noted.element is not None:
        name, terms = noted.element
        index = _passes(machine).index(name)
        row = index.find(tuple(term.at(point) for term in terms))
        if row is not None:
            subject = ElementOf(name, index.element(row), subject if isinstance(subject, RuleAt) else None)
    changes = tuple(
        FieldChange(field, _shown(before, point, passing.family), _shown(after, point, passing.family))
        for field, before, after in noted.changes
    )
    origin = machine.origin(subject) if subject is not None else None  # type: ignore[arg-type]
    return Step(noted.stage, noted.hook, noted.did, subject, changes, noted.note, origin)  # type: ignore[arg-type]


def _shown(value: object, point: Point, family: Family) -> object:
    """An address as it is in the example, with its port."""
    if not isinstance(value, Shown):
        return value
    found = address(family, value.address.at(point))
    if value.port is None:
        return str(found)
    return f"[{found}]:{value.port.at(point)}" if family == 6 else f"{found}:{value.port.at(point)}"
