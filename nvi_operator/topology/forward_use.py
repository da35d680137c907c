"""Which forwards are used now: the flows that conntrack translates, by the public port that they came to. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nvi_operator.language.model.values import Address
from nvi_operator.state.translation import Translation
from nvi_operator.topology.model import Topology
from nvi_operator.topology.rules import ForwardEntry, ForwardRule

ByPort = Counter[tuple[Address, str, int]]


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
    by_port: ByPort = Counter()
    by_address: Counter[Address] = Counter()
    for flow in flows:
        if flow.new_destination != flow.destination or flow.new_destination_port != flow.destination_port:
            by_port[flow.destination, flow.protocol, flow.destination_port] += 1
            by_address[flow.destination] += 1
    for entry in topology.forwards:
        yield ForwardUse(entry.name, _public(entry), _server(entry), _flows(entry, by_port, by_address))
    for rule in topology.forward_rules:
        servers = ", ".join(_with_port(address, port) for address, port, _ in rule.choices)
        new = counts.get(rule.counter, 0)
        yield ForwardUse(rule.name, _public_of_rule(rule), servers, _flows_of_rule(rule, by_port, by_address), new)


def _flows(entry: ForwardEntry, by_port: ByPort, by_address: Counter[Address]) -> int:
    if entry.ports is None or entry.protocol is None:
        return by_address[entry.public]
    return _in_range(by_port, entry.public, entry.protocol, entry.ports.first, entry.ports.last)


def _flows_of_rule(rule: ForwardRule, by_port: ByPort, by_address: Counter[Address]) -> int:
    if rule.service is None:
        return by_address[rule.public]
    return _in_range(by_port, rule.public, rule.service.protocol, rule.service.ports.first, rule.service.ports.last)


def _in_range(by_port: ByPort, public: Address, protocol: str, first: int, last: int) -> int:
    if last - first < 64:
        return sum(by_port[public, protocol, port] for port in range(first, last + 1))
    return sum(n for (a, p, port), n in by_port.items() if (a, p) == (public, protocol) and first <= port <= last)


def _public(entry: ForwardEntry) -> str:
    if entry.ports is None or entry.protocol is None:
        return str(entry.public)
    return f"{entry.public} {entry.ports}/{entry.protocol}"


def _public_of_rule(rule: ForwardRule) -> str:
    return f"{rule.public} {rule.service}" if rule.service else str(rule.public)


def _server(entry: ForwardEntry) -> str:
    return _with_port(entry.target, entry.target_port)


def _with_port(address: Address, port: int | None) -> str:
    if port is None:
        return str(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
