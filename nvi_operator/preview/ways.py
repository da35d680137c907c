"""The way of a class of flows through the entries of the spec: what a picture of the gateway points at."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import islice

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.packet import Packet
from nvi_operator.explain.walk import Walk, walks
from nvi_operator.preview.classes import FlowChange, GatewaySide
from nvi_operator.preview.outcome import End, FlowOutcome, end_of, name_of

MOST = 40  # classes: an origin takes a millisecond

# The entries that translate, which stand in a picture between inside and uplinks.
_SECTIONS = frozenset({"sourceNat", "forwards", "static", "prefixNat", "twiceNat", "redirects"})


@dataclass(frozen=True)
class Way:
    """From an inside interface to an uplink, or back, by an entry of the spec (section, name); None: by none."""

    inside: str | None = None
    entry: tuple[str, str] | None = None
    uplink: str | None = None


@dataclass(frozen=True)
class WayChange:
    """A way that flows take now (`is_new`: and took none before), or take no more (`is_gone`)."""

    way: Way
    is_new: bool = False
    is_gone: bool = False


def way_changes(before: GatewaySide, after: GatewaySide, changes: Iterable[FlowChange]) -> list[WayChange]:
    """The ways that change, by the example of each class. The machines know the origins of what decides."""
    pairs = [
        tuple(
            _ways(side, change.example, outcomes)
            for side, outcomes in zip((before, after), change.outcomes, strict=True)
        )
        for change in islice(changes, MOST)
    ]
    taken = {way for _, new in pairs for way in new}
    taken |= {Way(uplink=way.uplink) for way in taken}  # the last part of it
    found: dict[Way, WayChange] = {}
    for old, new in pairs:
        stays = set(old) & set(new) if old != new else set()  # of many, those that are still taken
        found |= {way: WayChange(way, is_gone=True) for way in old if way not in taken}
        found |= {way: WayChange(way, is_new=not old) for way in new if way not in stays}
    return list(found.values())


def _ways(side: GatewaySide, packet: Packet, outcomes: Collection[FlowOutcome]) -> list[Way]:
    """Several where the kernel chooses: of one packet its hash may tell, and others of the class go elsewhere."""
    found = dict.fromkeys(way for walk in walks(side.machine, packet) if (way := _way(side, walk)))
    for way in list(found) if len(outcomes) > 1 else ():
        is_outgoing = packet.in_interface not in side.topology.uplink_ifnames
        for each in outcomes:
            if is_outgoing and way.uplink and each.end is End.UPLINK:
                found.setdefault(replace(way, uplink=each.by))
            elif not is_outgoing and each.end is End.INSIDE:
                found.setdefault(replace(way, inside=each.by))
    return list(found)


def _way(side: GatewaySide, walk: Walk) -> Way | None:
    end, by = end_of(walk, side.topology)
    if end not in (End.UPLINK, End.INSIDE):
        return None
    came_by = walk.entering.in_interface
    uplinks = side.topology.uplink_ifnames
    name = None if came_by is None else name_of(side.topology, came_by, walk.region.family)
    inside = by if end is End.INSIDE else came_by if came_by not in uplinks else None
    uplink = by if end is End.UPLINK else name if came_by in uplinks else None
    return Way(inside, _entry(walk), uplink)


def _entry(walk: Walk) -> tuple[str, str] | None:
    """The one that translates: the destination's before the source's, as a forward says more than its hairpin."""
    found: Iterable[tuple[str, str]] = (
        (step.origin.section, step.origin.name)
        for step in walk.steps
        if step.did == "translated" and step.origin and step.origin.name and step.origin.section in _SECTIONS
    )
    return next(iter(found), None)
