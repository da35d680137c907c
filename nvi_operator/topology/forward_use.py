"""Which forwards are used now: the flows that conntrack translates, by the public port that they came to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.services import PortRange
from nvi_operator.language.model.values import Address
from nvi_operator.state.translation import FlowTranslation
from nvi_operator.topology.model import Topology
from nvi_operator.topology.rules import ForwardEntry

_ANY = ""  # in the place of a protocol


@dataclass(frozen=True)
class ForwardUse:
    """A public address or port, where it leads, and what uses it now.

    `packets` and `bytes`: of these flows, both directions; None where the host does not count them
    (nf_conntrack_acct). `new_flows`: None where nothing counts them.
    """

    name: str
    public: str
    servers: str
    flows: int
    packets: int | None = None
    bytes: int | None = None
    new_flows: int | None = None


class _Live:
    """What live flows use: by public address, protocol and port (None: of whatever port) flows, packets and bytes."""

    def __init__(self, flows: Iterable[FlowTranslation]) -> None:
        self._uses: dict[tuple[Address, str, int | None], list[int]] = {}
        self._counted = False
        for flow in flows:
            if flow.new_destination == flow.destination and flow.new_destination_port == flow.destination_port:
                continue
            self._counted |= flow.packets is not None
            for of, port in ((flow.protocol, flow.destination_port), (flow.protocol, None), (_ANY, None)):
                use = self._uses.setdefault((flow.destination, of, port), [0, 0, 0])
                use[0] += 1
                use[1] += flow.packets or 0
                use[2] += flow.bytes or 0

    def to(
        self, public: Address, protocol: str | None, ports: PortRange | None
    ) -> tuple[int, int | None, int | None]:
        """Flows, packets and bytes."""
        uses = [(0, 0, 0), *self._of(public, protocol, ports)]
        flows, packets, octets = map(sum, zip(*uses, strict=True))
        return (flows, packets, octets) if self._counted else (flows, None, None)

    def _of(self, public: Address, protocol: str | None, ports: PortRange | None) -> Iterator[Sequence[int]]:
        if ports is None or protocol is None:
            keys: Iterable[tuple[Address, str, int | None]] = [(public, protocol or _ANY, None)]
        elif ports.size <= 64:
            keys = [(public, protocol, port) for port in range(ports.first, ports.last + 1)]
        else:
            keys = [
                (address, of, port)
                for address, of, port in self._uses
                if (address, of) == (public, protocol) and port is not None and port in ports
            ]
        return (self._uses[key] for key in keys if key in self._uses)


def forward_uses(
    topology: Topology, flows: Iterable[FlowTranslation], counts: Mapping[str, int]
) -> Iterator[ForwardUse]:
    """Each public port of each forward. `counts` are the table's counters, in new flows."""
    live = _Live(flows)
    for entry in topology.forwards:
        used = live.to(entry.public, entry.protocol, entry.ports)
        yield ForwardUse(entry.name, _shown(entry.public, entry.protocol, entry.ports), _server(entry), *used)
    for rule in topology.forward_rules:
        servers = ", ".join(_with_port(address, port) for address, port, _ in rule.choices)
        new = counts.get(rule.counter, 0)
        protocol, ports = (rule.service.protocol, rule.service.ports) if rule.service else (rule.protocol, None)
        used = live.to(rule.public, protocol, ports)
        yield ForwardUse(rule.name, _shown(rule.public, protocol, ports), servers, *used, new)


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
