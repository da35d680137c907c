"""Sends probes, gives answers from where they arrive, and says what became of each."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import field
from itertools import chain

from nvi_operator.dataclass import dataclass
from nvi_operator.experiment import frames
from nvi_operator.experiment.judge import ObservedPacket, ProbeResult, judge
from nvi_operator.experiment.probe import Disposition, PacketProbe
from nvi_operator.explain.packet import ECHO_REPLY, Packet
from nvi_operator.language.model.values import Address
from nvi_operator.simulate.own_sockets import OwnSockets
from nvi_operator.simulate.wire import Arrival, WireEnd

_BATCH = 64  # probes at once: what is sent fits into the receivers' buffers
_PATIENCE = 1.5
_QUIET = 0.3  # seconds in which nothing of what must be dropped may be seen
_ANSWER = 1 << 31  # in the number of a probe: this is its answer


@dataclass
class _Sent:
    probe: PacketProbe
    arrival: Arrival | None = None
    returned: Arrival | None = None
    refused: Arrival | None = None
    extra: list[Arrival] = field(default_factory=list)

    @property
    def done(self) -> bool:
        wanted = self.returned if self.probe.expected.disposition is Disposition.ARRIVES else self.refused
        return wanted is not None or (self.refused is not None)


class ProbeRunner:
    """Over these wires. `patience`: seconds without an arrival, after which what is missing is lost.

    `owner` tells the uplink that an address is routed to: answers to it come in there, whichever way packets left.
    """

    def __init__(
        self,
        ends: Iterable[WireEnd],
        owner: Callable[[Address], str | None] = lambda address: None,
        *,
        patience: float = _PATIENCE,
    ) -> None:
        self._ends = {end.wire.ifname: end for end in ends}
        self._owner = owner
        self._patience = patience
        self._own = OwnSockets()
        self._sent: dict[int, _Sent] = {}
        self._flows: dict[tuple[str, int | None, object], int] = {}

    def run(self, probes: Sequence[PacketProbe]) -> list[ProbeResult]:
        """Send the probes in their order. Raises KernelError."""
        numbers = list(range(len(probes)))
        unsure = (Disposition.DROPPED, Disposition.ANY)
        dropped = [n for n in numbers if probes[n].expected.disposition in unsure]
        others = [n for n in numbers if probes[n].expected.disposition not in unsure]
        with closing(self._own):
            for start in range(0, len(others), _BATCH):
                self._batch(probes, others[start : start + _BATCH], self._patience)
            for start in range(0, len(dropped), _BATCH):
                self._batch(probes, dropped[start : start + _BATCH], _QUIET)
        return [self._result(self._sent[number]) for number in numbers]

    def _batch(self, probes: Sequence[PacketProbe], numbers: Sequence[int], patience: float) -> None:
        for number in numbers:
            probe = probes[number]
            self._sent[number] = _Sent(probe)
            packet = probe.packet
            if packet.in_interface is None:
                self._own.send(packet, number)
                continue
            self._flows[packet.in_interface, packet.source_port, packet.destination] = number
            self._ends[packet.in_interface].send(frames.probe_bytes(packet, number), router=probe.uplink)
        deadline = time.monotonic() + patience
        while not all(self._sent[number].done for number in numbers):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            ends = self._ends.values()
            select.select([*(end.fileno() for end in ends), *self._own.filenos()], (), (), left)
            for arrival in (*chain.from_iterable(end.arrivals() for end in ends), *self._own.arrivals()):
                if self._take(arrival):
                    deadline = time.monotonic() + patience

    def _take(self, arrival: Arrival) -> bool:
        """Does it belong to a probe?"""
        number = arrival.seen.number
        if number is None:
            return self._unnumbered(arrival)
        sent = self._sent.get(number & ~_ANSWER)
        if sent is None:
            return False
        if arrival.seen.error or _is_pong(sent.probe.packet, arrival.seen.packet, number):
            sent.refused = sent.refused or arrival
        elif number & _ANSWER:
            sent.returned = sent.returned or arrival
        elif sent.arrival is None:
            sent.arrival = arrival
            if sent.probe.expected.disposition is Disposition.TOO_BIG:
                self._refuse(number, arrival)
            else:
                self._answer(number, arrival)
        else:
            sent.extra.append(arrival)
        return True

    def _answer(self, number: int, arrival: Arrival) -> None:
        packet = frames.answer(arrival.seen.packet)
        end, router = self._ends[arrival.ifname], arrival.router
        owner = self._owner(packet.destination) if router else None
        if owner is not None:
            end, router = next(each for each in self._ends.values() if owner in each.wire.uplinks), owner
        end.send(frames.probe_bytes(packet, number | _ANSWER), router=router)

    def _refuse(self, number: int, arrival: Arrival) -> None:
        """As the router that got it; as the host that it was sent to, where that has a link-local address only."""
        packet, end = arrival.seen.packet, self._ends[arrival.ifname]
        mine = (address for address, uplink in end.wire.routers if uplink == arrival.router)
        by = next((a for a in mine if a.version == packet.family and not a.is_link_local), packet.destination)
        end.send(frames.too_big(packet, number, by), router=arrival.router)

    def _unnumbered(self, arrival: Arrival) -> bool:
        """A reset of the gateway itself has no payload: its addresses and port tell to which probe it belongs."""
        packet = arrival.seen.packet
        number = self._flows.get((arrival.ifname, packet.destination_port, packet.source))
        if number is None or "rst" not in packet.tcp_flags:
            return False
        sent = self._sent[number]
        sent.refused = sent.refused or arrival
        return True

    def _result(self, sent: _Sent) -> ProbeResult:
        seen = (observed(self._ends, arrival) for arrival in (sent.arrival, sent.returned, sent.refused))
        return judge(sent.probe, *seen)


def observed(ends: Mapping[str, WireEnd], arrival: Arrival | None) -> ObservedPacket | None:
    """The only uplink of a wire gets whatever arrives there."""
    if arrival is None:
        return None
    uplinks = ends[arrival.ifname].wire.uplinks if arrival.ifname in ends else ()
    uplink = arrival.router or (uplinks[0] if len(uplinks) == 1 else None)
    return ObservedPacket(arrival.ifname, uplink, arrival.seen.packet, arrival.seen.quoted)


def _is_pong(ping: Packet, packet: Packet, number: int) -> bool:
    """Is it the gateway's echo reply, which sends back what it got? The number is still that of the question."""
    return packet.icmp_type == ECHO_REPLY[packet.family] != ping.icmp_type and not number & _ANSWER
