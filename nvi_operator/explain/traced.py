"""What the kernel reported of traced packets, put together: each packet's way through both passes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Literal, get_args

from nvi_operator.dataclass import dataclass, replace
from nvi_operator.explain.headers import packet_in
from nvi_operator.explain.packet import Packet
from nvi_operator.explain.step import Did, ElementOf, EntryOrigin, FieldChange, Hook, RuleAt, Step, Subject
from nvi_operator.explain.verdict import Delivered, Forwarded
from nvi_operator.explain.walk import Walk
from nvi_operator.explain.wanted import WITNESSES
from nvi_operator.nft.ast import Table
from nvi_operator.nft.wire.trace import TraceEvent

_FIELDS = ("source", "source_port", "destination", "destination_port")
_HOOKS: tuple[Hook, ...] = get_args(Hook)
_TRACING = "nvi_trace_"


@dataclass(frozen=True)
class Rules:
    """How to name what the reports are about: by handle the rule of the table, by index the interface.

    `hooks` are those of base chains of all tables, by family, table and name.
    """

    table: Table
    handles: Mapping[str, Sequence[int]]
    hooks: Mapping[tuple[str, str, str], str]
    interfaces: Mapping[int, str]

    def rule(self, chain: str, handle: int) -> RuleAt | None:
        """None where the table has changed since it was read."""
        rules = next((each.rules for each in self.table.chains if each.name == chain), ())
        handles = self.handles.get(chain, ())
        if handle not in handles or len(handles) != len(rules):
            return None
        number = list(handles).index(handle)
        return RuleAt(chain, number, rules[number])


@dataclass(frozen=True)
class ForeignNftRule:
    """A rule of another table, or one that the table has got since it was read."""

    family: str
    table: str
    chain: str
    handle: int | None

    def __str__(self) -> str:
        rule = f" handle {self.handle}" if self.handle is not None else ""
        return f"{self.family} {self.table} {self.chain}{rule}"


@dataclass(frozen=True)
class Hop:
    """The packet at one base chain, and the rules that matched there. `verdict` is the last one."""

    hook: str
    chain: str
    own: bool
    packet: Packet
    out_interface: str | None
    matched: tuple[tuple[RuleAt | ForeignNftRule, str], ...]
    verdict: str


@dataclass(frozen=True)
class Pass:
    """One way through the kernel's hooks."""

    stage: int
    hops: tuple[Hop, ...]

    @property
    def entering(self) -> Packet:
        return self.hops[0].packet

    @property
    def leaving(self) -> Packet:
        return self.hops[-1].packet

    @property
    def out_interface(self) -> str | None:
        return self.hops[-1].out_interface

    @property
    def dropped(self) -> Hop | None:
        return next((hop for hop in self.hops if hop.verdict == "drop"), None)


@dataclass(frozen=True)
class Traced:
    """One packet: its first pass, and the second if it took one."""

    passes: tuple[Pass, ...]

    @property
    def entering(self) -> Packet:
        return self.passes[0].entering

    @property
    def leaving(self) -> Packet:
        return self.passes[-1].leaving

    @property
    def out_interface(self) -> str | None:
        return self.passes[-1].out_interface

    @property
    def dropped(self) -> Hop | None:
        return next((hop for each in self.passes if (hop := each.dropped) is not None), None)


@dataclass
class _Open:
    """A pass of which more may be reported."""

    events: list[TraceEvent] = field(default_factory=list)


def traced(events: Sequence[TraceEvent], rules: Rules, stage_mask: int) -> list[Traced]:
    """The packets that were reported, in their order. A second pass is that of the packet that left the first."""
    passes = [made for each in _grouped(events) if (made := _pass(each, rules, stage_mask)) is not None]
    found: list[list[Pass]] = []
    for each in passes:
        if each.stage == 1:
            found.append([each])
            continue
        first = next((way for way in found if len(way) == 1 and _follows(way[0], each)), None)
        if first is not None:
            first.append(each)
    return [Traced(tuple(way)) for way in found]


def _grouped(events: Sequence[TraceEvent]) -> Iterator[list[TraceEvent]]:
    """Events by packet and pass: each begins in the table that traces. Numbers of packets are used again."""
    open_: dict[int, _Open] = {}
    order: list[_Open] = []
    for event in events:
        before = open_.get(event.packet)
        if before is None or _begins(event, before.events):
            open_[event.packet] = _Open()
            order.append(open_[event.packet])
        open_[event.packet].events.append(event)
    yield from (each.events for each in order)


def _begins(event: TraceEvent, before: Sequence[TraceEvent]) -> bool:
    """Was the packet marked for tracing here? An answer may have been so already: then it is still being received."""
    if not event.table.startswith(_TRACING) or event.kind != "rule":
        return False
    return event.chain.startswith("packets_") or (event.chain == "answers" and any(each.oif for each in before))


def _pass(events: Sequence[TraceEvent], rules: Rules, stage_mask: int) -> Pass | None:
    hops = tuple(_hops(events, rules))
    if not hops:
        return None
    return Pass(2 if any(event.mark & stage_mask for event in events[:1]) else 1, hops)


def _hops(events: Sequence[TraceEvent], rules: Rules) -> Iterator[Hop]:
    """A base chain begins where headers are told, and what follows until the next one is in it."""
    groups: list[list[TraceEvent]] = []
    for event in events:
        if event.headers or not groups:
            groups.append([])
        groups[-1].append(event)
    for group in groups:
        first = group[0]
        packet = packet_in(first.headers, rules.interfaces.get(first.iif), first.mark)
        if packet is None:
            continue
        if first.table.startswith(_TRACING):
            if hook := WITNESSES.get(first.chain):
                yield Hop(hook, "", True, packet, rules.interfaces.get(first.oif), (), "accept")
            continue
        own = (first.family, first.table) == ("inet", rules.table.name)
        yield Hop(
            rules.hooks.get((first.family, first.table, first.chain), ""),
            first.chain if own else f"{first.family} {first.table} {first.chain}",
            own,
            packet,
            rules.interfaces.get(first.oif),
            tuple((_rule(event, rules), event.verdict) for event in group if event.kind == "rule"),
            group[-1].verdict,
        )


def _rule(event: TraceEvent, rules: Rules) -> RuleAt | ForeignNftRule:
    found = None
    if (event.family, event.table) == ("inet", rules.table.name) and event.handle is not None:
        found = rules.rule(event.chain, event.handle)
    return found or ForeignNftRule(event.family, event.table, event.chain, event.handle)


def _follows(first: Pass, second: Pass) -> bool:
    """Is the second pass that of the packet which left the first one?"""
    left, came = first.leaving, second.entering
    return left.protocol == came.protocol and all(getattr(left, name) == getattr(came, name) for name in _FIELDS)


# --------------------------------------------------------------------------- as steps of a walk


def steps(way: Traced, origin: Callable[[Subject], EntryOrigin | None]) -> tuple[Step, ...]:
    """The way as steps of a walk: the rules that matched, and what became of the packet between two chains."""
    return tuple(step for each in way.passes for step in _steps(each, origin))


def _steps(way: Pass, origin: Callable[[Subject], EntryOrigin | None]) -> Iterator[Step]:
    stage: Literal[1, 2] = 1 if way.stage == 1 else 2
    for number, hop in enumerate(way.hops):
        following = way.hops[number + 1] if number + 1 < len(way.hops) else None
        changes = _changes(hop.packet, following.packet) if following else ()
        for at, (rule, verdict) in enumerate(hop.matched):
            last = at == len(hop.matched) - 1
            did: Did = "dropped" if verdict == "drop" else "translated" if last and changes else "passed"
            own = changes if last else ()
            if isinstance(rule, RuleAt):
                yield Step(stage, _hook(hop), did, rule, own, origin=origin(rule))
            else:
                yield Step(stage, _hook(hop), did, None, own, note=f"rule of another program: {rule}")
        if changes and not hop.matched:
            yield Step(stage, _hook(hop), "translated", None, changes)
        if not hop.matched and hop.verdict == "drop":
            yield Step(stage, _hook(hop), "dropped", None, note=f"policy of {hop.chain}")
        if following and following.out_interface != hop.out_interface and following.out_interface:
            yield Step(stage, "routing", "routed", None, note=f"out by {following.out_interface}")


def _hook(hop: Hop) -> Hook:
    return next((hook for hook in _HOOKS if hook == hop.hook), "prerouting")


def _changes(before: Packet, after: Packet) -> tuple[FieldChange, ...]:
    changed = [(name, getattr(before, name), getattr(after, name)) for name in _FIELDS]
    return tuple(FieldChange(name.replace("_", " "), old, new) for name, old, new in changed if old != new)


# --------------------------------------------------------------------------- beside the prediction


def with_elements(seen: Sequence[Step], predicted: Walk) -> tuple[Step, ...]:
    """Each rule that asked a map with the element that it found, as the walk has it: reports do not name elements."""
    found: dict[tuple[int, str, int], Step] = {}
    for step in predicted.steps:
        if isinstance(step.subject, ElementOf) and (rule := step.subject.asked_by) is not None:
            found.setdefault((step.stage, rule.chain, rule.number), step)
    return tuple(_with_element(step, found) for step in seen)


def _with_element(step: Step, found: Mapping[tuple[int, str, int], Step]) -> Step:
    if not isinstance(step.subject, RuleAt) or step.origin is not None:
        return step
    asked = found.get((step.stage, step.subject.chain, step.subject.number))
    return step if asked is None else replace(step, subject=asked.subject, origin=asked.origin)


def differences(way: Traced, predicted: Walk, device: str) -> list[str]:
    """What of the packet's way is not as a walk says; empty where all is."""
    verdict, found = predicted.verdict, list[str]()
    dropped, seen = way.dropped, ending(way, device)
    expected = _expected_end(predicted)
    if expected and seen != expected:
        found.append(f"expected that it {expected}: it {seen}")
    if isinstance(verdict, Forwarded | Delivered) and not dropped:
        for name in _FIELDS:
            want, has = getattr(predicted.packet, name), getattr(way.leaving, name)
            if want != has:
                found.append(f"expected the {name.replace('_', ' ')} {want}: it is {has}")
    return found


def ending(way: Traced, device: str) -> str:
    """How it ended, in words."""
    if way.dropped is None:
        return _seen_end(way.passes[-1], device)
    return f"is dropped in {way.dropped.chain}"


def _seen_end(last: Pass, device: str) -> str:
    hop = last.hops[-1]
    if hop.hook == "input":
        return "reaches the gateway itself"
    if hop.out_interface is None:
        return "is not seen behind the first routing decision"
    if hop.out_interface == device:
        return f"is not seen behind {device}"
    return f"leaves by {hop.out_interface}"


def _expected_end(predicted: Walk) -> str:
    match predicted.verdict:
        case Forwarded(interface, _):
            return f"leaves by {interface}"
        case Delivered():
            return "reaches the gateway itself"
    return ""
