"""Would a gateway take the packets of a session with itself? Pure.

A session is lost where its packets get another destination: a forward or 1:1 NAT has the address and the port on
which the gateway itself is reached. A session that conntrack knows may go on, and the next one does not come back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.services import PortRange
from nvi_operator.language.model.values import Address
from nvi_operator.topology.model import Topology


@dataclass(frozen=True)
class Session:
    """TCP, established: the gateway's own address and port, and the other end's."""

    local: str
    port: int
    peer: str
    peer_port: int

    def __str__(self) -> str:
        return f"tcp {_with_port(self.peer, self.peer_port)} -> {_with_port(self.local, self.port)}"


def lost(topology: Topology, sessions: Sequence[Session]) -> Iterator[str]:
    """The packet that would be lost, of each session, and which entry takes it."""
    for session in sessions:
        if (by := _taken(topology, session)) is not None:
            yield f"{session} would go to {by}"


def _taken(topology: Topology, session: Session) -> str | None:
    local, peer = ip_address(session.local), ip_address(session.peer)
    for entry in topology.forwards:
        if entry.public == local and entry.protocol in (None, "tcp") and _has(entry.ports, session.port):
            return f"{entry.target} by forward {entry.name}"
    for rule in topology.forward_rules:
        clients = not rule.clients or any(peer in network for network in rule.clients)
        service = rule.service
        tcp = not rule.protocol and (service is None or service.protocol == "tcp")
        if rule.public == local and clients and tcp and _has(service.ports if service else None, session.port):
            return f"{rule.choices[0][0]} by forward {rule.name}"
    return _static(topology, local, peer)


def _static(topology: Topology, local: Address, peer: Address) -> str | None:
    for static in topology.statics:
        to_all = not static.far or any(peer in network for network in static.far)
        if local in static.mapped and to_all and not static.askers:
            return f"{static.real} by 1:1 NAT {static.name}"
    return None


def _has(ports: PortRange | None, port: int) -> bool:
    return ports is None or port in ports


def _with_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
