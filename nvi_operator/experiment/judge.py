"""Holds what was seen of a packet against what was expected. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.dataclass import dataclass
from nvi_operator.experiment import frames
from nvi_operator.experiment.probe import Disposition, Expected, PacketProbe, is_in
from nvi_operator.explain.packet import ICMP, ICMPV6, Packet
from nvi_operator.explain.words import end_words


@dataclass(frozen=True)
class ObservedPacket:
    """A packet at the far end of an interface. `uplink`: the one whose router got it; None: a host of the wire.

    `quoted`: of an ICMP error, the packet that it is about.
    """

    ifname: str
    uplink: str | None
    packet: Packet
    quoted: Packet | None = None

    @property
    def place(self) -> str:
        return f"{self.uplink} ({self.ifname})" if self.uplink else self.ifname


@dataclass(frozen=True)
class ProbeResult:
    """`problems` is empty where all was as expected; `way` says in words what was seen.

    `refused`: an ICMP error or a reset that came back about it.
    """

    probe: PacketProbe
    way: str
    problems: tuple[str, ...]
    arrived: ObservedPacket | None = None
    refused: ObservedPacket | None = None

    @property
    def passed(self) -> bool:
        return not self.problems


def judge(
    probe: PacketProbe,
    arrived: ObservedPacket | None,
    returned: ObservedPacket | None,
    refused: ObservedPacket | None,
) -> ProbeResult:
    problems = (
        () if probe.expected.disposition is Disposition.ANY else tuple(_problems(probe, arrived, returned, refused))
    )
    return ProbeResult(probe, _way(arrived, refused), problems, arrived, refused)


def _way(arrived: ObservedPacket | None, refused: ObservedPacket | None) -> str:
    if arrived is not None:
        return f"{arrived.place}: {endpoints(arrived.packet)}"
    if refused is not None:
        return f"answered by {refused.packet.source}: {_reason(refused.packet)}"
    return "dropped"


def _problems(
    probe: PacketProbe,
    arrived: ObservedPacket | None,
    returned: ObservedPacket | None,
    refused: ObservedPacket | None,
) -> Iterator[str]:
    expected = probe.expected
    if expected.disposition is Disposition.DROPPED:
        if arrived is not None:
            yield f"expected to be dropped, and left by {arrived.place} as {endpoints(arrived.packet)}"
        return
    if expected.disposition is Disposition.ANSWERED:
        if refused is None or refused.packet.source != probe.packet.destination:
            seen = f"{arrived.place} got it" if arrived else "nothing came back"
            yield f"expected an answer of the gateway itself as {probe.packet.destination}: {seen}"
        return
    if arrived is None:
        yield f"expected at {_place(expected)}: " + (
            f"refused by {refused.packet.source}: {_reason(refused.packet)}" if refused else "nothing arrived"
        )
        return
    yield from _wrong(expected, arrived)
    if expected.disposition is Disposition.TOO_BIG:
        yield from _wrong_error(probe, arrived, refused)
    else:
        yield from _wrong_answer(probe, arrived, returned, refused)


def _wrong(expected: Expected, arrived: ObservedPacket) -> Iterator[str]:
    packet = arrived.packet
    if expected.ifnames and arrived.ifname not in expected.ifnames:
        yield f"expected behind {_any(expected.ifnames)}: arrived at {arrived.place}"
    if expected.uplinks and arrived.uplink not in expected.uplinks:
        yield f"expected to leave by {_any(expected.uplinks)}: left by {arrived.place}"
    if expected.sources and not is_in(packet.source, expected.sources):
        yield f"expected the source {_any(map(str, expected.sources))}: it was {packet.source}"
    if expected.destinations and not is_in(packet.destination, expected.destinations):
        yield f"expected the destination {_any(map(str, expected.destinations))}: it was {packet.destination}"
    port = packet.source_port
    if expected.source_ports and not any(port and port in r for r in expected.source_ports):
        yield f"expected the source port {_any(map(str, expected.source_ports))}: it was {port}"
    if expected.destination_ports and packet.destination_port not in expected.destination_ports:
        yield f"expected port {_any(map(str, expected.destination_ports))}: it was {packet.destination_port}"


def _wrong_answer(
    probe: PacketProbe, arrived: ObservedPacket, returned: ObservedPacket | None, refused: ObservedPacket | None
) -> Iterator[str]:
    if returned is None:
        why = f": {refused.packet.source}: {_reason(refused.packet)}" if refused else ""
        yield f"its answer, sent from {arrived.place}, did not return{why}"
        return
    if probe.packet.in_interface is None:
        return  # the kernel gave it to the socket that had asked
    sent, answer = frames.answer(probe.packet), returned.packet
    if returned.ifname != probe.packet.in_interface or returned.uplink != probe.uplink:
        place = f"{probe.uplink} ({probe.packet.in_interface})" if probe.uplink else probe.packet.in_interface
        yield f"its answer must return by {place}: it left by {returned.place}"
    ends = (sent.source, sent.source_port, sent.destination, sent.destination_port)
    if ends != (answer.source, answer.source_port, answer.destination, answer.destination_port):
        yield f"its answer must be {endpoints(sent)}: it was {endpoints(answer)}"


def _wrong_error(probe: PacketProbe, arrived: ObservedPacket, refused: ObservedPacket | None) -> Iterator[str]:
    """The sender lowers its packets' size for an error that quotes what it sent."""
    if refused is None or refused.quoted is None:
        yield f"an error about it, sent by the router of {arrived.place}, did not reach the sender"
    elif refused.ifname != probe.packet.in_interface or refused.uplink != probe.uplink:
        yield f"an error about it must reach the sender: it left by {refused.place}"
    elif endpoints(refused.quoted) != endpoints(probe.packet):
        yield f"an error about it must quote {endpoints(probe.packet)}: it quoted {endpoints(refused.quoted)}"


def _place(expected: Expected) -> str:
    return _any(expected.uplinks or expected.ifnames) or "the far end"


def _any(names: object) -> str:
    return " or ".join(sorted(names))  # type: ignore[call-overload]


def endpoints(packet: Packet) -> str:
    """`192.0.2.80:443 to 203.0.113.2:40000`"""
    port = packet.source_port if packet.icmp_type is None else None
    return f"{end_words(packet.source, port)} to {end_words(packet.destination, packet.destination_port)}"


def _reason(packet: Packet) -> str:
    if packet.protocol in (ICMP, ICMPV6):
        return f"ICMP type {packet.icmp_type} code {packet.icmp_code}"
    return "reset"
