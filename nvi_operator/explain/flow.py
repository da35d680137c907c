"""What conntrack remembers of a flow."""

from __future__ import annotations

from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.packet import Packet
from nvi_operator.language.model.services import protocol_number
from nvi_operator.state.translation import FlowTranslation


@dataclass(frozen=True)
class ConntrackTuple:
    """One direction of a flow as conntrack has it. An ICMP echo has its identifier as both ports."""

    source: int
    destination: int
    source_port: int
    destination_port: int


@dataclass(frozen=True)
class ConntrackEntry:
    """A conntrack entry: the packet that opened the flow, and the answer that is expected.

    `zone` is that of the original direction; replies are in zone 0. `status` has snat, dnat. `answered`: a TCP
    connection that is not takes no further segments but SYN and RST of who opened it.
    """

    family: Literal[4, 6]
    protocol: int
    original: ConntrackTuple
    reply: ConntrackTuple
    zone: int = 0
    mark: int = 0
    status: frozenset[str] = frozenset()
    answered: bool = True


def entry_of(flow: FlowTranslation) -> ConntrackEntry:
    """The entry of a flow as the kernel lists it."""
    new_source, new_destination = flow.new_source != flow.source, flow.new_destination != flow.destination
    ports = (flow.new_source_port != flow.source_port, flow.new_destination_port != flow.destination_port)
    status = {"snat": new_source or ports[0], "dnat": new_destination or ports[1]}
    return ConntrackEntry(
        flow.source.version,
        protocol_number(flow.protocol),
        ConntrackTuple(int(flow.source), int(flow.destination), flow.source_port, flow.destination_port),
        ConntrackTuple(
            int(flow.new_destination), int(flow.new_source), flow.new_destination_port, flow.new_source_port
        ),
        flow.zone,
        flow.mark,
        frozenset(name for name, is_so in status.items() if is_so),
    )


def tuple_of(packet: Packet) -> ConntrackTuple:
    """The tuple of a packet of a protocol with ports."""
    return ConntrackTuple(
        int(packet.source), int(packet.destination), packet.source_port or 0, packet.destination_port or 0
    )
