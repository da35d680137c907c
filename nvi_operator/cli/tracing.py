"""Live packets, traced and told beside what the engine predicts of them."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from typing import Literal

from nvi_operator.cli.context import Context
from nvi_operator.cli.explaining import ObservedHost, known_flows, live_host, named_spec
from nvi_operator.errors import NviError
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import TCP, Packet
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.explain.traced import Rules, Traced, differences, ending, steps, traced, with_elements
from nvi_operator.explain.walk import Walk, reply, walks
from nvi_operator.explain.wanted import Stages, Wanted, parse_wanted
from nvi_operator.kernel.netlink.nfnetlink import Nfnetlink
from nvi_operator.kernel.nft.tracing import Tracer, interface_names
from nvi_operator.nft.ast import Table
from nvi_operator.nft.wire.trace import TraceEvent
from nvi_operator.plan.origins import Origins
from nvi_operator.view.explain.traced import Sight

Kind = Literal["packet", "answer"]

_QUIET = 0.3  # seconds without a report, after which no more of a packet is expected


def trace(context: Context, tell: Callable[[str], None]) -> tuple[str, list[Sight]]:
    """The gateway's name, and the packets that came within the time. `tell` is called when they may come."""
    arguments = context.arguments
    wanted = parse_wanted(arguments.packet, arguments.in_interface)
    loaded, source = (context.load(), str(arguments.spec)) if arguments.spec else named_spec(context)
    host = live_host(context, loaded, source)
    machine = machine_of(
        host.topology,
        host.state,
        host.facts,
        routes=host.routes,
        origin=Origins(host.topology, loaded.spec, host.state, loaded.where),
    )
    rules = _rules(host)
    stages = Stages(host.topology.stage_mask, host.topology.device)
    with Tracer(wanted, stages, arguments.count, answers=arguments.reply) as tracer:
        tell(f"waiting for {arguments.count} packet(s), at most {arguments.seconds:g} s")
        sights = _followed(tracer, wanted, rules, host.topology.stage_mask, arguments)
        lost = tracer.lost
    if lost:
        tell("reports were lost: the kernel made more than the buffer holds")
    predicting = _Predicting(machine)
    return loaded.name, [predicting.sight(way, kind) for way, kind in sights]


def _followed(
    tracer: Tracer, wanted: Wanted, rules: Rules, stage_mask: int, arguments: Namespace
) -> list[tuple[Traced, Kind]]:
    def chosen(events: list[TraceEvent]) -> list[tuple[Traced, Kind]]:
        return _sights(traced(events, rules, stage_mask), wanted, arguments.count, answers=arguments.reply)

    needed = arguments.count * (2 if arguments.reply else 1)
    return chosen(_collect(tracer, lambda events: len(chosen(events)) >= needed, arguments.seconds))


def _rules(host: ObservedHost) -> Rules:
    table = next((each for each in host.state.of_kind("nft-table") if isinstance(each, Table)), None)
    if table is None:
        raise NviError("trace: there is no gateway in this network namespace", hint="nvictl apply DIR makes it")
    with Nfnetlink() as nfnetlink:
        return Rules(table, nfnetlink.rule_handles(table.name), nfnetlink.hooks(), interface_names())


def _collect(tracer: Tracer, enough: Callable[[list[TraceEvent]], bool], seconds: float) -> list[TraceEvent]:
    """Reports, until there are enough and nothing more comes of these, or the time is over."""
    end = time.monotonic() + seconds
    quiet, found = end, list[TraceEvent]()
    while (now := time.monotonic()) < end:
        new = tracer.events(min(end, quiet))
        if new:
            found += new
            quiet = time.monotonic() + _QUIET if enough(found) else end
        elif now >= quiet:
            break
    return found


def _sights(ways: list[Traced], wanted: Wanted, count: int, *, answers: bool) -> list[tuple[Traced, Kind]]:
    """What was asked for; a second pass of another flow may have been reported as well."""
    packets = [way for way in ways if wanted.covers(way.entering)][:count]
    others = (
        [way for way in ways if any(_is_answer(way.entering, each.leaving) for each in packets)] if answers else []
    )
    return [*((way, "packet") for way in packets), *((way, "answer") for way in others[:count])]


def _is_answer(packet: Packet, left: Packet) -> bool:
    """Is it an answer to the packet that left?"""
    ends = (packet.source, packet.destination) == (left.destination, left.source)
    ports = (packet.source_port, packet.destination_port) == (left.destination_port, left.source_port)
    return ends and (ports or packet.icmp_type is not None)


class _Predicting:
    """Tells of each packet what the engine says of it: of an answer, from the way of the packet that it answers."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._nearest: dict[Packet, Walk] = {}  # what the packets leave as, and the walk of each

    def sight(self, way: Traced, kind: Kind) -> Sight:
        walks_of, why = self._answer(way) if kind == "answer" else self._packet(way)
        found, end = steps(way, self._machine.origin), ending(way, self._machine.device)
        if not walks_of:
            return Sight(kind, way, found, end, None, why)
        each = [(differences(way, walk, self._machine.device), walk) for walk in walks_of]
        differs, nearest = min(each, key=lambda pair: len(pair[0]))
        self._nearest[way.leaving] = nearest
        if not differs:
            found = with_elements(found, nearest)
        return Sight(kind, way, found, end, tuple(differs))

    def _packet(self, way: Traced) -> tuple[tuple[Walk, ...], str]:
        packet = way.entering
        if packet.protocol != TCP or packet.tcp_flags == {"syn"}:
            return walks(self._machine, packet), ""
        entries = tuple(known_flows(packet))
        if not entries:
            return (), "the connection that it belongs to is not translated, or ended meanwhile"
        return walks(self._machine.knowing(*entries), packet), ""

    def _answer(self, way: Traced) -> tuple[tuple[Walk, ...], str]:
        asked = next((walk for left, walk in self._nearest.items() if _is_answer(way.entering, left)), None)
        return (
            (reply(self._machine, asked), "it predicts no answer")
            if asked
            else ((), "it predicted nothing of the packet that is answered")
        )
