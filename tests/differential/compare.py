"""Does one of the walks that the engine gives agree with what was seen?"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from nvi_operator.explain.verdict import Delivered, Dropped, Forwarded, Refused
from nvi_operator.explain.walk import Walk
from tests.differential.case import SELF
from tests.differential.datagram import Datagram
from tests.differential.predict import explained
from tests.differential.scene import Step, main
from tests.differential.world import Seen


def agreeing(walks: tuple[Walk, ...], step: Step, cut: Collection[str] = ()) -> Walk | None:
    """The walk that the packet took, if the engine gives it. What leaves by an interface of `cut` is not seen."""
    return next((walk for walk in walks if not any(differences(walk, step, cut))), None)


def differences(walk: Walk, step: Step, cut: Collection[str] = ()) -> Iterator[str]:
    """What was seen otherwise than the walk has it."""
    out = main(step)
    verdict = walk.verdict
    if isinstance(verdict, Dropped | Refused):
        if out is not None:
            yield f"{_words(walk)}, and it came out: {out}"
        if isinstance(verdict, Dropped) and any(seen.packet.is_error for seen in step.seen):
            yield f"{_words(walk)}, and the sender was told"
    elif isinstance(verdict, Forwarded) and verdict.interface in cut:
        yield from (f"{_words(walk)}, and it came out: {out}" for _ in step.seen)
    elif out is None:
        yield f"{_words(walk)}, and it did not come out" + (f": {step.refused}" if step.refused else "")
    elif isinstance(verdict, Forwarded):
        if out.place != verdict.interface:
            yield f"{_words(walk)}, and it came out by {out.place}"
        yield from _fields(walk, out)
    elif isinstance(verdict, Delivered):
        if out.place != SELF:
            yield f"{_words(walk)}, and it came out by {out.place}"
        yield from _fields(walk, out)
    if step.about is not None and out is not None:
        yield from _quoted(step.about, out)
    yield from _entries(walk, step)


def _quoted(about: Datagram, out: Seen) -> Iterator[str]:
    """Who is told of an error knows the packet that it quotes: every translation of it is undone."""
    inner = out.packet.inner
    for name in ("source", "destination", "source_port", "destination_port"):
        expected, seen = getattr(about, name), getattr(inner, name, None)
        if expected != seen and not (name == "source" and expected.is_unspecified):
            yield f"the error quotes {name} {seen}, and it was {expected}"


def _fields(walk: Walk, out: Seen) -> Iterator[str]:
    packet, seen = walk.packet, out.packet
    expected = {
        "source": int(seen.source),
        "destination": int(seen.destination),
        "source_port": seen.source_port,
        "destination_port": seen.destination_port,
    }
    for name, value in expected.items():
        if value is not None and value not in walk.leaving(name):
            yield f"{name} {getattr(packet, name)} expected, and it was {getattr(seen, name)}"
    for name, value, predicted in (("ttl", seen.ttl, packet.ttl), ("dscp", seen.dscp, packet.dscp)):
        if value != predicted:
            yield f"{name} {predicted} expected, and it was {value}"
    if not seen.intact and walk.entering.in_interface is not None:
        yield "the checksum is wrong"


def _entries(walk: Walk, step: Step) -> Iterator[str]:
    """The entry that was made, where the packet did not belong to one already."""
    made = [entry for entry in map(explained, step.made) if entry.protocol == step.sent.packet.protocol]
    told = walk.entry
    if not made:
        is_new = told is not None and told.original not in {explained(entry).original for entry in step.known}
        if is_new and isinstance(walk.verdict, Forwarded | Delivered) and step.what != "reaction":
            yield f"the entry {told} expected, and there is none"
        return
    if told is None:
        yield f"no entry of conntrack expected, and there is {made[0]}"
        return
    for entry in made:
        same = (entry.original, entry.zone, entry.mark) == (told.original, told.zone, told.mark)
        if same and (walk.chosen or entry.reply == told.reply):
            return
    yield f"the entry {told} expected, and it was {made[0]}"


def _words(walk: Walk) -> str:
    return f"{walk.verdict} expected"


def report(walks: tuple[Walk, ...], step: Step) -> str:
    """Both sides of a disagreement, in lines."""
    lines = [f"{step.what}: {step.sent}"]
    for walk in walks:
        lines.append(f"  predicted: {walk.verdict} as {walk.packet} {walk.chosen or ''} {walk.entry or ''}".rstrip())
        lines += [f"      {each}" for each in differences(walk, step)]
    lines += [f"  seen: {seen}" for seen in step.seen] or ["  seen: nothing"]
    lines += [f"  refused: {step.refused}"] if step.refused else []
    lines += [f"  made: {entry}" for entry in step.made]
    return "\n".join(lines)


__all__ = ["agreeing", "differences", "report"]
