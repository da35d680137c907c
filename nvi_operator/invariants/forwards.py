"""Every forward reaches its server, and the answers return by the uplink of the address that was asked.

All forwards of an uplink are walked at once: a walk is of all packets that take the same steps, and only those that
do not end at their server are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.packet import Packet
from nvi_operator.explain.packet import address as address_of
from nvi_operator.explain.region import Region
from nvi_operator.explain.space import Bundle, Space, Term
from nvi_operator.explain.spans import PORTS, Span, Spans
from nvi_operator.explain.verdict import Delivered, Dropped, Forwarded, NotModelled, Refused, Verdict
from nvi_operator.explain.walk import Walk, reply
from nvi_operator.invariants.classes import Classes, near, region
from nvi_operator.invariants.names import entry_words
from nvi_operator.invariants.published import Asking, Finder, Row, bundle_of
from nvi_operator.invariants.result import Unknown, Violation, not_modelled
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.values import FAMILIES, Family
from nvi_operator.topology.interfaces import Uplink

MOST = 1000  # findings; the first is what matters


def forwards_arrive(classes: Classes) -> Iterator[Violation | Unknown]:
    """One finding for each forward on each address of an uplink that does not do its work."""
    if not classes.spec.forwards:
        return
    for asking, rows in classes.published.items():
        for uplink in classes.topology.uplinks:
            for family in FAMILIES:
                public = Spans.networks(uplink.sources(family))
                mine = [row for row in rows if row.public.version == family and int(row.public) in public]
                if mine and not uplink.is_linked(family):
                    why = f"uplink {uplink.name!r} has no address, router or carrier now: its forwards wait for it"
                    yield Unknown(("spec", "uplinks", uplink.name), why)
                elif mine:
                    yield from _of_uplink(classes, uplink, family, asking, mine)
                    yield from _hairpins(classes, family, asking, mine)


def _of_uplink(
    classes: Classes, uplink: Uplink, family: Family, asking: Asking, rows: Sequence[Row]
) -> Iterator[Violation | Unknown]:
    finder = Finder(rows, asking)
    for walk in classes.walks(_packets(classes, uplink, family, asking, rows)):
        wrong = list(_not_arriving(classes, walk, asking, finder))
        yield from wrong
        if not wrong and isinstance(walk.verdict, Forwarded):
            yield from _answers(classes, uplink, walk, asking, finder)


def _hairpins(classes: Classes, family: Family, asking: Asking, rows: Sequence[Row]) -> Iterator[Violation | Unknown]:
    """The hairpins that leave by an uplink, or their answers: twice NAT and routes may lead them there."""
    topology = classes.topology
    if not topology.twice and not topology.routes:
        return
    finder, reported = Finder(rows, asking), set[str]()
    for inside in topology.inside_interfaces:
        sources = classes.behind(inside, family)
        packets = region(family, [inside.interface.ifname], sources=sources, rows=bundle_of(rows, asking))
        for walk in classes.walks(packets):
            for way in (walk, *reply(classes.machine, walk)):
                if not isinstance(way.verdict, Forwarded) or not classes.is_uplink(way.verdict.interface):
                    continue
                stay = classes.inside(family) - classes.inside_by(way.verdict.interface, family)
                if way.leaving("destination") - stay:
                    continue
                row = finder.find(next(_ends(walk, asking))[0])
                if row.name not in reported:
                    reported.add(row.name)
                    causes = classes.causes(way)
                    yield _hairpin(classes, row, walk.entering, way.verdict.interface, causes)


def _hairpin(classes: Classes, row: Row, packet: Packet, ifname: str, causes: tuple[Path, ...]) -> Violation:
    others = tuple(path for path in causes if path[1] != "forwards")
    why = f", because of {entry_words(classes.spec, others)}" if others else ""
    message = f"forward {row.name!r} on {row.public}: {ifname} takes hairpins out{why}"
    hint = "publish it at an address that the other entry has not, or write `hairpin: false`"
    return Violation(_path(row), message, hint, packet, others)


def _packets(classes: Classes, uplink: Uplink, family: Family, asking: Asking, rows: Sequence[Row]) -> Region:
    clients = classes.clients(uplink, family)
    if asking.clients:
        clients = clients & Spans.networks(n for n in asking.clients if n.version == family)
    sent_from = Spans.of((s.ports.first, s.ports.last) for s in asking.source_ports) if asking.source_ports else PORTS
    return region(
        family,
        [uplink.interface.ifname],
        sources=clients,
        source_ports=sent_from,
        rows=bundle_of(rows, asking),
        dscp=asking.dscp,
        mark=asking.mark,
    )


# --------------------------------------------------------------------------- the way there


def _not_arriving(classes: Classes, walk: Walk, asking: Asking, finder: Finder) -> Iterator[Violation | Unknown]:
    """The forwards of a walk whose packets do not get to one of their servers."""
    reported: set[str] = set()
    arrives = _arrives(classes, walk)
    for values, arrival in _ends(walk, asking):
        row = finder.find(values)
        if arrives and _is_at_server(classes, row, arrival):
            continue
        if row.name in reported or _is_others(classes, walk, arrival):
            continue
        reported.add(row.name)
        if isinstance(walk.verdict, NotModelled) or not _is_home_known(classes, row):
            yield Unknown(_path(row), f"forward {row.name!r}: {_why_unknown(walk.verdict)}")
        else:
            how = _end(walk, arrival, "its packets")
            message = f"forward {row.name!r} on {row.public} does not reach its server: {how}"
            yield Violation(_path(row), message, packet=_packet(walk.entering, asking, values))
        if len(reported) >= MOST:
            return


@dataclass(frozen=True)
class _Arrival:
    """Destinations with which the packets of a row arrive."""

    addresses: tuple[Span, ...]
    ports: tuple[Span, ...]


def _ends(walk: Walk, asking: Asking) -> Iterator[tuple[tuple[int, ...], _Arrival]]:
    """Row by row of the class: the values of its fields, and what its packets look like where they end."""
    space = walk.space
    rows = space.bundle_of("destination")
    asked = [_column(space, rows, Term(name)) for name in asking.fields]
    addresses, ports = (_column(space, rows, walk.terms[name]) for name in ("destination", "destination_port"))
    for row in range(len(rows) if rows else 1):
        yield tuple(at(row)[0][0] for at in asked), _Arrival(addresses(row), ports(row))


def _column(space: Space, rows: Bundle | None, term: Term) -> Callable[[int], tuple[Span, ...]]:
    """The values of a term in each row; the same in all where it is not tied to the rows."""
    if rows is not None and term.variable in rows.columns:
        column, by = rows.columns[term.variable], term.offset
        return lambda row: ((column.lows[row] + by, column.highs[row] + by),)
    values = space.values(term).parts
    return lambda row: values


def _arrives(classes: Classes, walk: Walk) -> bool:
    """Does a class end at hosts behind the gateway, or at the gateway itself?"""
    match walk.verdict:
        case Forwarded(interface):
            return not _leaves(classes, walk, interface)
        case Delivered():
            return True
    return False


def _is_at_server(classes: Classes, row: Row, arrival: _Arrival) -> bool:
    servers = row.servers if row.ports else classes.servers[row.public]  # of those for single ports as well
    return all(
        first == last
        and any(
            first == server and all(span == (port, port) for span in arrival.ports if port is not None)
            for server, port in servers
        )
        for first, last in arrival.addresses
    )


def _is_others(classes: Classes, walk: Walk, arrival: _Arrival) -> bool:
    """Do they arrive at the host of an entry for some networks or interfaces only, which is asked first?"""
    if not isinstance(walk.verdict, Forwarded):
        return False
    topology, family = classes.topology, walk.region.family
    hosts = [static.real for static in topology.statics if static.limited]
    hosts += [network for twice in topology.twice for network in (twice.real, twice.far)]
    there = Spans.networks(network for network in hosts if network.version == family)
    return bool(there) and not Spans.of(arrival.addresses) - there


def _leaves(classes: Classes, walk: Walk, interface: str) -> bool:
    """Does it leave by an uplink, and not to a site behind it or a host on its wire?"""
    uplinks = [u for u in classes.topology.uplinks if u.interface.ifname == interface]
    family = walk.region.family
    there = Spans.of(part for uplink in uplinks for part in near(uplink, family))
    return bool(uplinks and walk.leaving("destination") - there)


def _is_home_known(classes: Classes, row: Row) -> bool:
    """Does the spec say where its servers live, and is that interface up?"""
    family = row.public.version
    there = [i for i in classes.topology.inside_interfaces if i.interface.up]
    known = Spans.networks(network for inside in there for network in inside.of_family(family))
    return all(address in known | classes.own(family) for address, _ in row.servers)


def _why_unknown(verdict: Verdict) -> str:
    if isinstance(verdict, NotModelled):
        return not_modelled(verdict)
    return "no interface that is up has its server in `networks`: whether there is a route to it only the host knows"


def _end(walk: Walk, arrival: _Arrival, whose: str) -> str:
    """How it ended, of `whose` packets."""
    first = str(address_of(walk.region.family, arrival.addresses[0][0]))
    match walk.verdict:
        case Forwarded(interface):
            return f"{interface} takes {whose} out, to {first}"
        case Delivered():
            return f"the gateway itself takes {whose}, as {first}"
        case Dropped(where):
            return f"{where} drops {whose}"
        case Refused(error, where):
            return f"{where} refuses {whose} ({error})"
        case NotModelled(what):
            return what.value
    raise AssertionError(walk.verdict)


def _packet(example: Packet, asking: Asking, values: Sequence[int]) -> Packet:
    """The example of a class, as one of the row."""
    given: dict[str, Any] = dict(zip(asking.fields, values, strict=True))
    return replace(example, **{**given, "destination": address_of(example.family, values[0])})


def _path(row: Row) -> Path:
    return ("spec", "forwards", row.name)


# --------------------------------------------------------------------------- the way back


def _answers(
    classes: Classes, uplink: Uplink, walk: Walk, asking: Asking, finder: Finder
) -> Iterator[Violation | Unknown]:
    """The forwards of a walk whose answers do not leave by the uplink, from the address that was asked."""
    family = walk.region.family
    public = Spans.networks(uplink.sources(family))
    reported: set[str] = set()
    for answer in reply(classes.machine, walk):
        verdict = answer.verdict
        right = isinstance(verdict, Forwarded) and verdict.interface == walk.entering.in_interface
        if right and not answer.leaving("source") - public:
            continue
        for values, _ in _ends(answer, asking):
            row = finder.find(values)
            if row.name in reported or len(reported) >= MOST:
                continue
            if isinstance(verdict, NotModelled):
                yield Unknown(_path(row), f"forward {row.name!r}: its answers: {not_modelled(verdict)}")
                continue
            reported.add(row.name)
            arrival = _Arrival(((int(answer.packet.destination),) * 2,), ())
            how = _end(answer, arrival, "them")
            causes = tuple(path for path in classes.causes(answer) if path[1] != "forwards")
            why = f", because of {entry_words(classes.spec, causes)}" if causes else ""
            message = (
                f"forward {row.name!r} on {row.public}: answers do not return by uplink {uplink.name!r}: {how}{why}"
            )
            asked = replace(answer.region, in_interfaces=walk.region.in_interfaces, like=walk.region.like).example()
            packet = _packet(asked or walk.entering, asking, values)
            yield Violation(_path(row), message, _hint(causes, row), packet, causes)


def _hint(causes: Sequence[Path], row: Row) -> str:
    """Routes are what leads answers astray, as a rule."""
    if not any(path[1] == "routes" for path in causes):
        return ""
    return (
        f"routes match answers as well: leave these out with `except: {{from: {row.public}}}`, and "
        "choose the uplink of inside hosts by sourceNat"
    )
