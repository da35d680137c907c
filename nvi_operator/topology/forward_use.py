"""Which forwards are used now: the flows that conntrack translates, by the public port that they came to. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nvi_operator.language.model.services import PortRange
from nvi_operator.language.model.values import Address
from nvi_operator.state.translation import Translation
from nvi_operator.topology.model import Topology
from nvi_operator.topology.rules import ForwardEntry

Uses = Counter[tuple[Address, str, int | None]]  # by public address, protocol and port; None: of whatever port
_ANY = ""  # in the place of a protocol


@dataclass(frozen=True)
class ForwardUse:
    """A public address or port, where it leads, and what uses it now. `new_flows`: None where nothing counts them."""

    name: str
    public: str
    servers: str
    flows: int
    new_flows: int | None = None


def forward_uses(topology: Topology, flows: Iterable[Translation], counts: Mapping[str, int]) -> Iterator[ForwardUse]:
    """Each public port of each forward. `counts` are the table's counters, in new flows."""
    uses: Uses = Counter()
    for flow in flows:
        if flow.new_destination != flow.destination or flow.new_destination_port != flow.destination_port:
            uses[flow.destination, flow.protocol, flow.destination_port] += 1
            uses[flow.destination, flow.protocol, None] += 1
            uses[flow.destination, _ANY, None] += 1
    for entry in topology.forwards:
        used = _flows(uses, entry.public, entry.protocol, entry.ports)
        yield ForwardUse(entry.name, _shown(entry.public, entry.protocol, entry.ports), _server(entry), used)
    for rule in topology.forward_rules:
        servers = ", ".join(_with_port(address, port) for address, port, _ in rule.choices)
        new = counts.get(rule.counter, 0)
        protocol, ports = (rule.service.protocol, rule.service.ports) if rule.service else (rule.protocol, None)
        used = _flows(uses, rule.public, protocol, ports)
        yield ForwardUse(rule.name, _shown(rule.public, protocol, ports), servers, used, new)


def _flows(uses: Uses, public: Address, protocol: str | None, ports: PortRange | None) -> int:
    if ports is None or protocol is None:
        return uses[public, protocol or _ANY, None]
    if ports.size <= 64:
        return sum(uses[public, protocol, port] for port in range(ports.first, ports.last + 1))
    return sum(
        count
        for (address, of, port), count in uses.items()
        if (address, of) == (public, protocol) and port is not None and ports.first <= port <= ports.last
    )


def _shown(public: Address, protocol: str | None, ports: PortRange | None) -> str:
    if protocol is None:
        return str(public)
    return f"{public} {protocol if ports is None else f'{ports}/{protocol}'}"


def _server(entry: ForwardEntry) -> str:
    return _with_port(entry.target, entry.target_port)


def _with_port(address: Address, port: int | None) -> str:
    if port is None:
        return str(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
