"""No entry is dead: each is about some packet that no other takes first.

Rules of sourceNat and routes are asked in the order written, behind what always comes before them: 1:1 and twice NAT.
What the gateway itself sends has an order of its own; an entry is dead if it is in both. Forwards, redirects and 1:1
NAT cannot hide one another, because `language/check` refuses those that overlap: they are dead where nothing is left
of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from itertools import groupby
from typing import TYPE_CHECKING

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.spans import ADDRESSES, Spans
from nvi_operator.invariants.boxes import OTHER, PacketBox, boxes_of
from nvi_operator.invariants.gateway import ResolvedGateway
from nvi_operator.invariants.names import entry_name, entry_words
from nvi_operator.invariants.result import Violation
from nvi_operator.invariants.shadows import EntryPackets, takers
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec, RouteSpec
from nvi_operator.language.model.source_nat import SourceNat
from nvi_operator.language.model.values import FAMILIES
from nvi_operator.topology.model import Topology
from nvi_operator.topology.rules import OwnRule, SourceRule

if TYPE_CHECKING:
    from nvi_operator.explain.packet import Packet

Names = dict[tuple[str, str], Path]  # section and name -> path, of lists


def dead_entries(gateway: ResolvedGateway) -> Iterator[Violation]:
    """The dead entries of every section."""
    spec, topology = gateway.spec, gateway.topology
    yield from _hidden(spec, topology)
    yield from _redirects(spec, topology)
    yield from _static(spec, topology)


# --------------------------------------------------------------------------- sourceNat and routes


def _hidden(spec: GatewaySpec, topology: Topology) -> Iterator[Violation]:
    lists: tuple[tuple[str, Sequence[SourceNat | RouteSpec]], ...] = (
        ("sourceNat", spec.source_nat),
        ("routes", spec.routes),
    )
    names: Names = {
        (section, entry.name): ("spec", section, number)
        for section, entries in lists
        for number, entry in enumerate(entries)
    }
    seen: dict[Path, _Takers] = {path: _Takers() for path in names.values()}
    for order in (_source_rules(spec, topology, names), _routes(topology, names)):
        for entry, others in takers(order):
            if entry.boxes and (taken := seen.get(entry.paths[0])):
                taken.of_hosts.append((entry, others))
    for entry, others in takers(_own(topology, names)):
        if entry.boxes:
            seen[entry.paths[0]].own.append((entry, others))
    for path, taken in seen.items():
        if not (taken.of_hosts or taken.own):
            yield from _of_nothing(spec, path)
        elif found := _hiders(taken.of_hosts or taken.own):
            leads_own = bool(taken.of_hosts and taken.own and not _hiders(taken.own))
            yield _taken(spec, path, found, _packet(taken, path), leads_own)


@dataclass
class _Takers:
    """An entry in the order of forwarded packets, and in that of the gateway's own; with what takes its packets."""

    of_hosts: list[tuple[EntryPackets, tuple[EntryPackets, ...]]] = field(default_factory=list)
    own: list[tuple[EntryPackets, tuple[EntryPackets, ...]]] = field(default_factory=list)


def _packet(taken: _Takers, path: Path) -> Packet | None:
    """One that the entry is about, as it comes in; routes are asked about translated ones."""
    if not taken.of_hosts or path[1] != "sourceNat":
        return None
    from nvi_operator.invariants.examples import example

    return example(taken.of_hosts[0][0].boxes[0])


def _hiders(parts: Sequence[tuple[EntryPackets, tuple[EntryPackets, ...]]]) -> tuple[Path, ...]:
    """The entries that take every packet of all parts; none where there are no parts, or one is alive."""
    if not all(others for _, others in parts):
        return ()
    return tuple(dict.fromkeys(path for _, others in parts for other in others for path in other.paths))


def _taken(
    spec: GatewaySpec, path: Path, others: Sequence[Path], packet: Packet | None, leads_own: bool
) -> Violation:
    section, name = str(path[1]), entry_name(spec, path)
    who = entry_words(spec, others)
    of = " on what is forwarded" if leads_own else ""
    same = [other for other in others if other[1] == section]
    hint = (
        f"place it before {entry_name(spec, same[0])!r}" if same else "its packets are translated before it is asked"
    )
    hint += "; or write in: self, if it is about the gateway's own packets" if leads_own else ", or delete it"
    message = f"{section} {name!r} has no effect{of}: every packet that it is about is taken by {who}"
    return Violation(path, message, hint, packet, tuple(others))


def _of_nothing(spec: GatewaySpec, path: Path) -> Iterator[Violation]:
    """Not where that depends on what an ISP assigns."""
    section = str(path[1])
    entry = (spec.source_nat if section == "sourceNat" else spec.routes)[int(path[2])]
    named = entry.via.first if isinstance(entry, RouteSpec) else entry.as_.names
    if any(spec.uplinks[name].addresses == "auto" for name in named):
        return
    if any(interface.delegated for interface in spec.interfaces.values()):
        return
    message = f"{section} {entry.name!r} has no effect: no packet is as it says"
    yield Violation(path, message, "correct it, or delete it")


def _inside(topology: Topology) -> frozenset[str | None]:
    """The interfaces that are no uplink's, and those that the spec does not name."""
    return frozenset(
        {OTHER, *(i.interface.ifname for i in topology.inside_interfaces)} - set(topology.uplink_ifnames)
    )


def _source_rules(spec: GatewaySpec, topology: Topology, names: Names) -> Iterator[EntryPackets]:
    inside = _inside(topology)
    first = [part for rule in topology.source_rules if (part := topology.asked_first(rule))]
    rules = [rule for rule in topology.source_rules if not topology.gives_inside_address(rule)]
    yield from _limited_statics(topology, inside)
    yield from _parts(first, "sourceNat", names, inside)
    yield from _statics(spec, topology, inside)
    yield from _parts(rules, "sourceNat", names, inside)


def _parts(
    rules: Iterable[SourceRule], section: str, names: Names, ifnames: Iterable[str | None]
) -> Iterator[EntryPackets]:
    """Entry by entry: the families of one and what it has beside do not hide one another."""
    everywhere = tuple(ifnames)
    for name, parts in groupby(rules, key=lambda rule: rule.name):
        boxes = tuple(box for part in parts for box in boxes_of(part.conditions, everywhere))
        yield EntryPackets((names[section, name],), boxes)


def _statics(spec: GatewaySpec, topology: Topology, inside: frozenset[str | None]) -> Iterator[EntryPackets]:
    """All of one tenant at once: there may be 100,000."""
    whole = [s for s in topology.statics if not s.limited and s.outgoing]
    for tenant in sorted({static.tenant for static in whole}):
        of_tenant = {i.interface.ifname for i in topology.inside_interfaces if i.tenant == tenant}
        ifnames = frozenset[str | None](of_tenant) if tenant else inside
        mine = [static for static in whole if static.tenant == tenant]
        boxes = (
            PacketBox(family, ifnames, Spans.networks(reals), ADDRESSES[family])
            for family in FAMILIES
            if (reals := [static.real for static in mine if static.real.version == family])
        )
        names = dict.fromkeys(static.name for static in mine)
        paths = (("spec", "static" if name in spec.static else "prefixNat", name) for name in names)
        yield EntryPackets(tuple(paths), tuple(boxes))


def _limited_statics(topology: Topology, inside: frozenset[str | None]) -> Iterator[EntryPackets]:
    for static in topology.statics:
        if static.far and not static.askers and not static.tenant:
            family = static.real.version
            box = PacketBox(family, inside, Spans.networks([static.real]), Spans.networks(static.far))
            yield EntryPackets((("spec", "static", static.name),), (box,))


def _routes(topology: Topology, names: Names) -> Iterator[EntryPackets]:
    everywhere = _inside(topology) | {*topology.uplink_ifnames}
    for twice in topology.twice:
        sources, destinations = Spans.networks([twice.mapped]), Spans.networks([twice.far])
        box = PacketBox(twice.real.version, everywhere, sources, destinations)
        yield EntryPackets((("spec", "twiceNat", twice.name),), (box,))
    for name, parts in groupby(topology.routes, key=lambda route: route.name):
        boxes = tuple(box for part in parts for box in boxes_of(part.conditions, everywhere))
        yield EntryPackets((names["routes", name],), boxes)


def _own(topology: Topology, names: Names) -> Iterator[EntryPackets]:
    """What the gateway itself sends: family by family, routes first."""
    found: dict[tuple[str, str], list[OwnRule]] = {}
    for rule in sorted(topology.own, key=lambda rule: rule.section):  # stable
        if rule.section == "uplinks":  # what no rule of the spec is about
            continue
        found.setdefault((rule.section, rule.name), []).append(rule)
    for key, parts in found.items():
        boxes = tuple(box for part in parts for box in _own_boxes(part))
        yield EntryPackets((names[key],), boxes)


def _own_boxes(rule: OwnRule) -> Iterator[PacketBox]:
    left = list(boxes_of(rule.conditions, (None,)))
    for excepted in rule.without:
        for hole in boxes_of(excepted, (None,)):
            left = [piece for box in left for piece in box.less(hole)]
    return iter(left)


# --------------------------------------------------------------------------- redirects, 1:1 NAT


def _redirects(spec: GatewaySpec, topology: Topology) -> Iterator[Violation]:
    resolved: dict[str, list[PacketBox]] = {name: [] for name in spec.redirects}
    inside = _inside(topology)
    for rule in topology.redirects:
        family = rule.conditions.family
        left = list(boxes_of(rule.conditions, inside))
        for source, destination in ((rule.spared_sources, None), (None, rule.spared)):
            spared = source or destination
            if spared:
                hole = PacketBox(
                    family,
                    inside | {*rule.conditions.ifnames},
                    Spans.networks(source) if source else ADDRESSES[family],
                    Spans.networks(destination) if destination else ADDRESSES[family],
                )
                left = [piece for box in left for piece in box.less(hole)]
        resolved[rule.name] += left
    for name, boxes in resolved.items():
        if not boxes and not any(interface.delegated for interface in spec.interfaces.values()):
            message = f"redirect {name!r} has no effect: no packet of an inside host is as it says"
            yield Violation(("spec", "redirects", name), message, "correct in, from or except, or delete it")


def _static(spec: GatewaySpec, topology: Topology) -> Iterator[Violation]:
    if len(spec.static) == len(topology.statics):
        return
    there = {static.name for static in topology.statics}
    for name, static in spec.static.items():
        if name not in there and static.except_:
            message = f"static {name!r} has no effect: except leaves nothing of it"
            yield Violation(("spec", "static", name, "except"), message, "name fewer addresses in except")
