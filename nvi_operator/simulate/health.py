"""Health probes in a simulation: the daemon's own questions, answered by the far ends.

Each target is asked once, and one answer or none decides: how long a line has to fail before it counts is not tried.
"""

from __future__ import annotations

import select
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from types import MappingProxyType
from typing import Any

from nvi_operator.daemon.probes.prober import Probed, Prober, probed
from nvi_operator.dataclass import dataclass
from nvi_operator.experiment.judge import ProbeResult, judge
from nvi_operator.experiment.probe import Disposition, Expected, PacketProbe
from nvi_operator.experiment.services import DNS_PORT, response
from nvi_operator.explain.packet import ECHO_REQUEST, ICMP_OF, TCP, UDP, Packet
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.health import Health
from nvi_operator.language.model.health import Probe as Target
from nvi_operator.simulate.exchange import observed
from nvi_operator.simulate.wire import Arrival, WireEnd
from nvi_operator.topology.health import HealthFacts, ProbedState, Server
from nvi_operator.topology.model import Topology

LAW = "health probes"
_QUIET = 0.3  # seconds without a packet, after which what has no answer gets none
# Seconds in which an answer counts: what a busy machine takes to pass one on says nothing of the gateway.
_WAIT = 60.0
_ONCE = {
    "interval": 2 * _WAIT,
    "timeout": _WAIT,
    "down": 1,
    "up": 1,
    "hold_down": 0.0,
    "max_loss": None,
    "max_latency": None,
}


@dataclass(frozen=True)
class Asked:
    """What the probes of a spec say, and each of them held against what it has to do."""

    health: HealthFacts
    results: tuple[ProbeResult, ...]


def ask(spec: GatewaySpec, topology: Topology, ends: Mapping[str, WireEnd], down: Collection[str]) -> Asked:
    """Probe each uplink and server. The uplinks `down` get no answer, and are down without probes as well.

    Raises KernelError.
    """
    clock = [0.0]
    wanted = {name: replace(each, health=_once(each.health)) for name, each in probed(spec, topology).items()}
    with closing(Prober(now=lambda: clock[0], day=lambda: 0.0)) as prober:
        prober.follow(wanted)
        prober.step()
        questions = _answer(prober, ends, down)
        clock[0] = _WAIT  # the time of every answer is over, and the next round not due
        prober.step()
        told, health = prober.told(), prober.health
    works: dict[str | Server, Any] = dict(told["uplinks"])
    works |= {Server(each["forward"], each["server"]): each for each in told["servers"]}
    results = tuple(
        _result(name, each, target, state["works"], questions, ends, down)
        for name, each in wanted.items()
        for target, state in zip(each.health.probes, works[name]["targets"], strict=True)
    )
    cut = {name: ProbedState("down", reason="--down") for name in down}
    return Asked(HealthFacts(MappingProxyType({**health.uplinks, **cut}), health.servers), results)


def _once(health: Health) -> Health:
    return health.model_copy(update=_ONCE)


def _answer(prober: Prober, ends: Mapping[str, WireEnd], down: Collection[str]) -> list[Arrival]:
    """Until there are no more questions; these."""
    questions: list[Arrival] = []
    while select.select([prober.fileno(), *(end.fileno() for end in ends.values())], (), (), _QUIET)[0]:
        for arrival in chain.from_iterable(end.arrivals() for end in ends.values()):
            questions.append(arrival)
            if arrival.router not in down and (answer := response(arrival.data)) is not None:
                ends[arrival.ifname].send(answer, router=arrival.router)
        prober.step()
    return questions


def _result(
    name: str | Server,
    each: Probed,
    target: Target,
    works: bool | None,
    questions: Sequence[Arrival],
    ends: Mapping[str, WireEnd],
    down: Collection[str],
) -> ProbeResult:
    way = each.ways.get(target.address.version)
    if isinstance(name, Server):
        expected = Expected(ifnames=frozenset({way.ifname} if way and way.ifname else ()))
    else:
        expected = Expected(Disposition.ANY) if name in down else Expected(uplinks=frozenset({name}))
    arrived = observed(ends, next(_of(target, way.ifname, way.source, questions), None) if way else None)
    packet = replace(arrived.packet, in_interface=None) if arrived else _packet(target)
    entry = f"{name.forward} {name.server}" if isinstance(name, Server) else name
    return judge(PacketProbe(LAW, entry, str(target), packet, expected), arrived, arrived if works else None, None)


def _of(target: Target, ifname: str | None, source: str | None, questions: Sequence[Arrival]) -> Iterator[Arrival]:
    """Questions to a target with this source, those behind this interface first: others may ask the same one."""
    asked = _packet(target)
    for question in sorted(questions, key=lambda each: each.ifname != ifname):
        packet = question.seen.packet
        same = (packet.protocol, packet.destination, packet.destination_port, packet.tcp_flags)
        wanted = (asked.protocol, asked.destination, asked.destination_port, asked.tcp_flags)
        if same == wanted and source in (None, str(packet.source)):
            yield question


def _packet(target: Target) -> Packet:
    """As it begins, of the gateway itself that is bound to nothing."""
    family = target.address.version
    unbound = type(target.address)(0)
    if target.ping:
        return Packet(None, ICMP_OF[family], unbound, target.ping, icmp_type=ECHO_REQUEST[family])
    if target.dns:
        return Packet(None, UDP, unbound, target.dns, destination_port=DNS_PORT)
    return Packet(None, TCP, unbound, target.address, destination_port=target.port)
