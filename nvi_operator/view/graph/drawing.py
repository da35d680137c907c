"""A spec as a drawing. Nothing of a host: interfaces and addresses are those that the spec names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.view.graph.entries import entries, route_words, short_network
from nvi_operator.view.graph.groups import Group, grouped
from nvi_operator.view.graph.model import (
    Box,
    ChangeKind,
    Drawing,
    GraphColumn,
    Highlight,
    Junction,
    Line,
    Opened,
    inside_key,
    source_key,
    uplink_key,
)
from nvi_operator.view.graph.places import InterfaceIndex

FEWEST_JOINED = 3  # boxes of one side, that lines go to by way of a junction where they go to all of them
_ALL_INSIDE = Junction("all inside", GraphColumn.INSIDE, "all")
_ALL_UPLINKS = Junction("all uplinks", GraphColumn.STAGE_2, "all")
_SHOWN_SOURCES = 6


def drawing(name: str, spec: GatewaySpec, highlights: Sequence[Highlight] = ()) -> Drawing:
    """The gateway `name`. What a highlight names has a box of its own; what the spec lacks of it is left out."""
    places = InterfaceIndex(spec)
    groups = grouped(entries(spec, places), {each.entry for each in highlights if each.entry})
    boxes = (
        *_inside(spec),
        *(_box_of(group) for group in groups),
        *_routes(spec),
        *_sources(spec, places),
        *_uplinks(spec),
    )
    lines = [*_lines(groups, places), *_lines_of_routes(spec)]
    lines += [Line(source_key(uplink), uplink_key(uplink)) for uplink in places.uplinks]
    whole = Drawing(name, spec.dataplane.device, boxes, tuple(_used(lines)), tuple(dict.fromkeys(lines)))
    return _highlighted(whole, groups, highlights) if highlights else whole


# --------------------------------------------------------------------------- boxes


def _inside(spec: GatewaySpec) -> Iterator[Box]:
    for ifname, inside in sorted(spec.interfaces.items()):
        lines = [str(network) for network in inside.networks]
        lines += [f"known as {network}" for network in inside.known_as or ()]
        lines += [str(part) for part in inside.delegated or ()]
        yield Box(inside_key(ifname), GraphColumn.INSIDE, ifname, tuple(lines), badge=inside.tenant or "")


def _box_of(group: Group) -> Box:
    return Box(group.key, GraphColumn.STAGE_1, group.title, group.lines, panel=group.section, members=group.members)


def _routes(spec: GatewaySpec) -> Iterator[Box]:
    for number, route in enumerate(spec.routes, start=1):
        words = (*route_words(route), f"via {', else '.join(route.via.first)}")
        yield Box(_route_key(number), GraphColumn.STAGE_2, f"{number}. {route.name}", words, panel="routes")


def _sources(spec: GatewaySpec, places: InterfaceIndex) -> Iterator[Box]:
    for name in places.uplinks:
        owned = [short_network(network) for network in places.sources(name)]
        lines = owned[:_SHOWN_SOURCES]
        lines += [f"and {len(owned) - len(lines):,} more"] if len(owned) > len(lines) else []
        lines += ["what its lease says"] if spec.uplinks[name].addresses == "auto" else []
        lines += ["what is delegated"] if spec.uplinks[name].delegated == "auto" else []
        yield Box(source_key(name), GraphColumn.STAGE_2, f"source of {name}", tuple(lines), panel="by source")


def _uplinks(spec: GatewaySpec) -> Iterator[Box]:
    ordered = spec.default_uplink.first if spec.default_uplink else ()
    for name, uplink in sorted(spec.uplinks.items()):
        hops = uplink.next_hop
        by = (f"via {hop}" for hop in hops) if isinstance(hops, tuple) else [f"via {hops}"] if hops else ["no router"]
        lines = [uplink.interface, *by, *(["probed"] if uplink.health else [])]
        if isinstance(uplink.networks, tuple):
            lines += [f"leads to {network}" for network in uplink.networks]
        is_default = uplink.default or name in ordered[:1] or len(spec.uplinks) == 1
        badge = "default" if is_default else f"default {ordered.index(name) + 1}" if name in ordered else ""
        yield Box(uplink_key(name), GraphColumn.UPLINKS, name, tuple(lines), badge=badge)


def _route_key(number: int) -> str:
    return f"route {number}"


# --------------------------------------------------------------------------- lines


def _lines(groups: Iterable[Group], places: InterfaceIndex) -> Iterator[Line]:
    for group in groups:
        if _is_joined(group.inside, places.inside):
            yield Line(_ALL_INSIDE.key, group.key, group.opened)
            yield from (Line(inside_key(ifname), _ALL_INSIDE.key) for ifname in places.inside)
        else:
            yield from (Line(inside_key(ifname), group.key, group.opened) for ifname in sorted(group.inside))
        if _is_joined(group.uplinks, places.uplinks):
            yield Line(group.key, _ALL_UPLINKS.key, group.opened)
            yield from (Line(_ALL_UPLINKS.key, source_key(uplink)) for uplink in places.uplinks)
        else:
            yield from (Line(group.key, source_key(uplink), group.opened) for uplink in sorted(group.uplinks))


def _lines_of_routes(spec: GatewaySpec) -> Iterator[Line]:
    for number, route in enumerate(spec.routes, start=1):
        yield from (Line(_route_key(number), uplink_key(name), Opened.INSIDE) for name in route.via.first)


def _is_joined(some: frozenset[str], every: Sequence[str]) -> bool:
    return len(some) == len(every) >= FEWEST_JOINED


def _used(lines: Sequence[Line]) -> Iterator[Junction]:
    ends = {key for line in lines for key in (line.left, line.right)}
    yield from (junction for junction in (_ALL_INSIDE, _ALL_UPLINKS) if junction.key in ends)


# --------------------------------------------------------------------------- highlights


def _highlighted(whole: Drawing, groups: Sequence[Group], highlights: Sequence[Highlight]) -> Drawing:
    keys = {(entry.section, entry.name): group for group in groups for entry in group.entries}
    there = {box.key for box in whole.boxes}
    changes: dict[str, ChangeKind] = {}
    lines: list[Line] = []
    for highlight in highlights:
        group = keys.get(highlight.entry) if highlight.entry else None
        chain = [
            inside_key(highlight.inside) if highlight.inside else None,
            group.key if group else None,
            *((source_key(highlight.uplink), uplink_key(highlight.uplink)) if highlight.uplink else ()),
        ]
        path = [key for key in chain if key is not None and key in there]
        # A box that a way leads through is there although flows take the way no more.
        of_box = ChangeKind.CHANGED if highlight.change is ChangeKind.GONE and len(path) > 1 else highlight.change
        for key in path:  # what flows of different outcomes share is changed
            same = changes.setdefault(key, of_box) is of_box
            changes[key] = of_box if same else ChangeKind.CHANGED
        opened = group.opened if group else Opened.INSIDE
        lines += [Line(a, b, opened, highlight.change) for a, b in pairwise(path)]
    once = tuple(dict.fromkeys(lines))
    return replace(whole, lines=(*whole.lines, *once), changes=changes)
