"""What the spec asserts: all packets that an assertion is about are walked, and one that is not as it says told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from nvi_operator.explain.limits import Limit
from nvi_operator.explain.space import Space, Term
from nvi_operator.explain.spans import Spans
from nvi_operator.explain.verdict import Delivered, Dropped, Forwarded, NotModelled, Refused
from nvi_operator.explain.walk import Walk, walks
from nvi_operator.explain.words import end_words
from nvi_operator.invariants.classes import Classes
from nvi_operator.invariants.names import entry_words
from nvi_operator.invariants.result import InvariantResult, Unknown, Violation, not_modelled
from nvi_operator.invariants.selection import selected
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.assertions import ALL, INSIDE, OUTSIDE, Assertion, Traffic
from nvi_operator.language.model.services import PROTOCOL_NAMES, Service, Target, protocol_number
from nvi_operator.language.model.values import SELF

Wrong = tuple[Space, str]  # packets that are not as an assertion says, and what they do
_Rule = Callable[[Classes, Assertion, Walk, Space], Iterator[Wrong]]


def check_assertions(classes: Classes) -> Iterator[InvariantResult]:
    """Each of the spec, in its order."""
    for number, assertion in enumerate(classes.spec.assert_):
        path: Path = ("spec", "assert", number)
        results = tuple(dict.fromkeys(_check(classes, assertion, path)))
        findings = tuple(each for each in results if isinstance(each, Violation))
        unknown = tuple(each for each in results if isinstance(each, Unknown))
        yield InvariantResult(f"assert {assertion.name}", sentence(assertion), "error", findings, unknown, path)


def _check(classes: Classes, assertion: Assertion, path: Path) -> Iterator[Violation | Unknown]:
    """The first packet of each sentence for which it does not hold."""
    rules = [rule for field, rule in _RULES.items() if getattr(assertion, field)]
    found: set[_Rule] = set()
    is_about_any = False
    for packets in selected(classes, assertion):
        for walk, space in classes.ways(packets):
            meant = _meant(classes, assertion, walk, space)
            is_about_any = is_about_any or meant is not None
            if meant is None:
                continue
            if isinstance(walk.verdict, NotModelled):
                if walk.verdict.what is not Limit.MULTICAST:
                    yield Unknown(path, f"assert {assertion.name!r}: {not_modelled(walk.verdict)}")
                continue
            for rule in rules:
                if rule not in found and (finding := _first(classes, assertion, path, walk, rule, meant)):
                    found.add(rule)
                    yield finding
    if not is_about_any and not (assertion.never or assertion.only):
        message = f"assert {assertion.name!r} is about no packet: none is as from, in, at, to and ports say"
        yield Violation(path, message, "correct it: it would hold whatever the gateway does")


def _first(
    classes: Classes, assertion: Assertion, path: Path, walk: Walk, rule: _Rule, meant: Space
) -> Violation | None:
    for space, does in rule(classes, assertion, walk, meant):
        packet = replace(walk.region, space=space).example()
        if packet is not None:
            end = next((w for w in walks(classes.machine, packet) if w.chosen == walk.chosen), walk)
            causes = classes.causes(end)
            why = f", because of {entry_words(classes.spec, causes)}" if causes else ""
            message = f"assert {assertion.name!r} does not hold: a packet {does.format(_End(end))}{why}"
            return Violation(path, message, packet=packet, others=causes)
    return None


class _End:
    """What a packet looks like where it ends, for messages: `{0.destination}`."""

    def __init__(self, walk: Walk) -> None:
        packet = walk.packet
        self.source = end_words(packet.source, None)
        self.destination = end_words(packet.destination, packet.destination_port)
        self.protocol = PROTOCOL_NAMES.get(packet.protocol, f"protocol {packet.protocol}")


# --------------------------------------------------------------------------- who gets them


def _meant(classes: Classes, assertion: Assertion, walk: Walk, asked: Space) -> Space | None:
    """The packets that end at, or were on their way to, what `to` says."""
    space: Space | None = asked
    family = walk.region.family
    excepted = assertion.except_.to if assertion.except_ else None
    if excepted:
        out = Spans.networks(n for n in excepted if n.version == family)
        _, space = asked.split(walk.terms["destination"], out)
    if assertion.to is None or space is None or _is_at(classes, assertion, walk):
        return space
    ends = [end for end in assertion.to if not isinstance(end, str) and end.version == family]
    if isinstance(walk.verdict, Delivered):  # a network stands for its hosts, of which the gateway is none
        ends = [end for end in ends if end.num_addresses == 1]
    named = Spans.networks(ends)
    return space.split(walk.terms["destination"], named)[0]


def _is_at(classes: Classes, assertion: Assertion, walk: Walk) -> bool:
    match walk.verdict:
        case Forwarded(interface):
            return (OUTSIDE if classes.is_uplink(interface) else INSIDE) in (assertion.to or ())
        case Delivered():
            return SELF in (assertion.to or ())
    return False


# --------------------------------------------------------------------------- what may arrive


def _only(classes: Classes, assertion: Assertion, walk: Walk, meant: Space) -> Iterator[Wrong]:
    if isinstance(walk.verdict, Forwarded | Delivered):
        left = [meant]
        for traffic in assertion.only or ():
            left = [part for space in left for part in _without(walk, space, traffic)]
        for space in left:
            yield space, "arrives at {0.destination} ({0.protocol})"


def _never(classes: Classes, assertion: Assertion, walk: Walk, meant: Space) -> Iterator[Wrong]:
    if isinstance(walk.verdict, Forwarded | Delivered):
        parts = [meant] if assertion.never == ALL else [_of(walk, meant, each) for each in assertion.never or ()]
        for space in parts:
            if space is not None:
                yield space, "arrives at {0.destination} ({0.protocol})"


def _of(walk: Walk, space: Space, traffic: Traffic) -> Space | None:
    protocol, ports = _numbers(traffic)
    inside, _ = space.split(walk.terms["protocol"], protocol)
    if inside is None or ports is None:
        return inside
    return inside.split(walk.terms["destination_port"], ports)[0]


def _without(walk: Walk, space: Space, traffic: Traffic) -> Iterator[Space]:
    protocol, ports = _numbers(traffic)
    inside, outside = space.split(walk.terms["protocol"], protocol)
    if outside is not None:
        yield outside
    if inside is not None and ports is not None:
        _, others = inside.split(walk.terms["destination_port"], ports)
        if others is not None:
            yield others


def _numbers(traffic: Traffic) -> tuple[Spans, Spans | None]:
    if isinstance(traffic, Service):
        return Spans.one(protocol_number(traffic.protocol)), Spans(((traffic.ports.first, traffic.ports.last),))
    return Spans.one(protocol_number(traffic)), None


# --------------------------------------------------------------------------- where they arrive


def _reaches(classes: Classes, assertion: Assertion, walk: Walk, meant: Space) -> Iterator[Wrong]:
    if lost := _lost(walk):
        yield meant, lost
    elif not isinstance(assertion.reaches, tuple):
        if not isinstance(walk.verdict, Delivered):
            yield meant, "arrives at {0.destination}"
    else:
        left = [meant]
        for target in assertion.reaches:
            left = [part for space in left for part in _elsewhere(walk, space, target)]
        for space in left:
            yield space, "arrives at {0.destination}"


def _elsewhere(walk: Walk, space: Space, target: Target) -> Iterator[Space]:
    """The packets that do not arrive there."""
    there, elsewhere = space.split(walk.terms["destination"], Spans.one(int(target.address)))
    if elsewhere is not None:
        yield elsewhere
    if there is not None and target.ports is not None:
        _, others = there.split(walk.terms["destination_port"], Spans(((target.ports.first, target.ports.last),)))
        if others is not None:
            yield others


def _lost(walk: Walk) -> str | None:
    match walk.verdict:
        case Dropped(where):
            return f"is dropped: {_escaped(where)}"
        case Refused(error, where):
            return f"is refused ({error}): {_escaped(where)}"
    return None


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


# --------------------------------------------------------------------------- how they leave


def _leaving(classes: Classes, walk: Walk, meant: Space) -> tuple[Space | None, str]:
    """The packets to the outside; and what becomes of them where they do not leave.

    By an uplink leaves also what twice NAT sends to a far host with an inside host's number, and not what is sent to
    inside hosts on the same wire.
    """
    family = walk.region.family
    lost = _lost(walk)
    if lost is not None:
        within = classes.inside(family) | classes.own(family)
    elif isinstance(walk.verdict, Forwarded) and classes.is_uplink(walk.verdict.interface):
        within = classes.inside_by(walk.verdict.interface, family)
    else:
        return None, ""
    return meant.split(walk.terms["destination"], within)[1], lost or ""


def _by(classes: Classes, assertion: Assertion, walk: Walk, meant: Space) -> Iterator[Wrong]:
    space, lost = _leaving(classes, walk, meant)
    if space is None:
        return
    if lost:
        yield space, lost
        return
    assert isinstance(walk.verdict, Forwarded)
    here = [u for u in classes.topology.uplinks if u.interface.ifname == walk.verdict.interface]
    for uplink in here:
        mine: Space | None = space
        if len(here) > 1:  # told apart by their addresses
            mine, space = _split(walk, space, "source", Spans.networks(uplink.sources(walk.region.family)))
        if mine is not None and uplink.name not in (assertion.by or ()):
            yield mine, f"leaves by uplink {uplink.name!r} as {{0.source}}"


def _as(classes: Classes, assertion: Assertion, walk: Walk, meant: Space) -> Iterator[Wrong]:
    space, lost = _leaving(classes, walk, meant)
    if space is None:
        return
    if lost:
        yield space, lost
    elif not isinstance(assertion.as_, tuple):  # unchanged
        if walk.terms["source"] != Term("source"):
            yield space, "leaves as {0.source}"
    else:
        family = walk.region.family
        given = ((int(r.first), int(r.last)) for r in assertion.as_ if r.family == family)
        _, others = _split(walk, space, "source", Spans.of(given))
        if others is not None:
            yield others, "leaves as {0.source}"


def _split(walk: Walk, space: Space | None, name: str, values: Spans) -> tuple[Space | None, Space | None]:
    return (None, None) if space is None else space.split(walk.terms[name], values)


_RULES: dict[str, _Rule] = {"only": _only, "never": _never, "reaches": _reaches, "by": _by, "as_": _as}


def sentence(assertion: Assertion) -> str:
    """`from outside to 192.168.1.80 only 443/tcp, icmp`"""
    written = assertion.model_dump(
        by_alias=True, exclude={"name", "description", "enabled"}, exclude_none=True, mode="json"
    )
    return " ".join(f"{field} {_words(value)}" for field, value in written.items())


def _words(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{field} {_words(each)}" for field, each in value.items() if each is not None)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
