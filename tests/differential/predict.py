"""What the engine says of a packet, from the same facts and objects that `nvictl explain` reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nvi_operator.explain.flow import ConntrackEntry as ExplainedEntry
from nvi_operator.explain.flow import ConntrackTuple as ExplainedTuple
from nvi_operator.explain.icmp_errors import error
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import ECHO_REQUEST, Packet
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.explain.verdict import Refused
from nvi_operator.explain.walk import Walk, reply, walks
from tests.differential.case import SELF, Sent
from tests.differential.generate.networks import MARKS, UNUSED_PREFIX
from tests.differential.scene import ERRORS, Gateway, Step, router
from tests.differential.tracked import Entry


def machine(gateway: Gateway) -> Machine:
    """With what the host's tables hold, as `--live` reads them."""
    return machine_of(gateway.topology, gateway.state, gateway.facts, routes=gateway.routes)


def told(gateway: Gateway) -> Machine | None:
    """With what the facts tell, as without `--live`; None where the host has routes or rules that no fact tells."""
    host = gateway.case.host
    providers = [hop for uplink in gateway.topology.uplinks for hop in uplink.next_hops.values()]
    inside = [str(network) for each in gateway.topology.inside_interfaces for network in each.networks]
    known = all(
        any(line.startswith(f"route add default via {hop}") for hop in providers)
        or any(line.startswith(f"route add {network} via ") for network in inside)
        or line.startswith(UNUSED_PREFIX)
        for line in host.ip
    )
    return machine_of(gateway.topology, gateway.state, gateway.facts) if known else None


def predicted(machine: Machine, sent: Sent, *, marked: bool) -> tuple[Walk, ...]:
    """`marked`: does another table of the host mark packets by their TTL?"""
    return walks(machine, packet(sent, marked=marked))


@dataclass(frozen=True)
class Answers:
    """What follows on the walk that the first packet of a talk took. Not where the kernel chose: a walk is of all of
    its choices."""

    first: Walk

    def to(self, machine: Machine, what: str) -> list[tuple[Walk, ...]]:
        """What the engine says of a `reply` or an `error` by itself."""
        first = self.first
        if first.chosen or first.entry is None or first.entering.tcp_flags != {"syn"}:
            return []
        if first.entering.icmp_type not in (None, ECHO_REQUEST[first.region.family]):
            return []
        if what == "reply":
            return [reply(machine, self.first)]
        if what in ERRORS:
            return [error(machine, self.first, "time-exceeded", router(self.first.region.family, what))]
        return []


def of_gateway(machine: Machine, walk: Walk) -> tuple[Walk, ...]:
    """What the gateway itself sends because of the packets of a walk: an answer, or an error."""
    return error(machine, walk) if isinstance(walk.verdict, Refused) else reply(machine, walk)


def packet(sent: Sent, *, marked: bool) -> Packet:
    own, one = sent.interface == SELF, sent.packet
    mark = MARKS.get(one.ttl, 0) if marked and not own else sent.mark
    return Packet(
        None if own else sent.interface,
        one.protocol,
        one.source,
        one.destination,
        one.source_port,
        one.destination_port,
        one.icmp[0] if one.icmp else None,
        one.icmp[1] if one.icmp else 0,
        one.flags if one.flags else frozenset({"syn"}),
        one.dscp,
        mark,
        one.ttl,
        one.size or None,
        sent.bound or None,
        one.keep_whole or one.version == 6,
    )


def with_entries(machine: Machine, step: Step, walk: Walk | None) -> Machine:
    """The machine after the step, with the entries that it made; an answer is one to all that there were, unless
    it was dropped before conntrack saw it.
    """
    known = machine.entries
    if step.what == "reply" and walk is not None and walk.entry is not None:
        known = answered(machine).entries
    opened = "ack" in (step.sent.packet.flags or ())
    made = (replace(explained(entry), answered=opened) for entry in step.made)
    return replace(machine, entries=(*known, *made))


def answered(machine: Machine) -> Machine:
    return replace(machine, entries=tuple(replace(entry, answered=True) for entry in machine.entries))


def explained(entry: Entry) -> ExplainedEntry:
    def way(ends: Any) -> ExplainedTuple:
        return ExplainedTuple(
            int(ends.source), int(ends.destination), ends.source_port or 0, ends.destination_port or 0
        )

    family = entry.original.source.version
    zone = entry.zones[0]
    return ExplainedEntry(
        family, entry.original.protocol, way(entry.original), way(entry.reply), zone, entry.mark, entry.translated
    )
