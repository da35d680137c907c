"""What forwards publish, as rows that are walked together: public address, protocol, ports, and where they lead."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Sequence

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.space import Bundle, VariableColumn
from nvi_operator.explain.spans import Span
from nvi_operator.language.model.services import PortRange, Service, protocol_number
from nvi_operator.language.model.values import Address, Network
from nvi_operator.topology.model import Topology
from nvi_operator.topology.rules import ForwardEntry, ForwardRule

Server = tuple[int, int | None]  # its address and port; None: the port that was asked


@dataclass(frozen=True)
class Asking:
    """Which packets forwards are about, of those to their ports. Those that are alike are walked together.

    `fields` are those that tell the rows apart.
    """

    fields: tuple[str, ...]
    exact: bool = True  # no ranges of ports
    clients: tuple[Network, ...] = ()
    source_ports: tuple[Service, ...] = ()
    dscp: int = 0
    mark: int = 0


@dataclass(frozen=True, slots=True)  # there may be 100,000
class Row:
    """One forward on one public address. `protocol` and `ports` None: all."""

    name: str
    public: Address
    protocol: int | None
    ports: Span | None
    servers: tuple[Server, ...]


def published(topology: Topology) -> dict[Asking, list[Row]]:
    """All rows, those that are asked alike together."""
    found: defaultdict[Asking, list[Row]] = defaultdict(list)
    askings = {(fields, exact): Asking(_FIELDS[:fields], exact) for fields in (1, 2, 3) for exact in (True, False)}
    for entry in topology.forwards:
        row = _of_entry(entry)
        fields = 1 + (row.protocol is not None) + (row.ports is not None)
        found[askings[fields, row.ports is None or row.ports[0] == row.ports[1]]].append(row)
    for rule in topology.forward_rules:
        row = _of_rule(rule)
        fields = 1 + (row.protocol is not None) + (row.ports is not None)
        exact = row.ports is None or row.ports[0] == row.ports[1]
        for dscp in rule.dscps or (0,):
            mark = rule.mark.value if rule.mark else 0
            found[Asking(_FIELDS[:fields], exact, rule.clients, rule.source_services, dscp, mark)].append(row)
    return found


_FIELDS = ("destination", "protocol", "destination_port")


def _of_entry(entry: ForwardEntry) -> Row:
    protocol = protocol_number(entry.protocol) if entry.protocol else None
    return Row(entry.name, entry.public, protocol, _span(entry.ports), ((int(entry.target), entry.target_port),))


def _of_rule(rule: ForwardRule) -> Row:
    named = rule.service.protocol if rule.service else rule.protocol
    named = named or (rule.source_services[0].protocol if rule.source_services else None)
    servers = tuple((int(address), port) for address, port, weight in rule.choices if weight)
    ports = _span(rule.service.ports) if rule.service else None
    return Row(rule.name, rule.public, protocol_number(named) if named else None, ports, servers)


def _span(ports: PortRange | None) -> Span | None:
    return (ports.first, ports.last) if ports else None


def bundle_of(rows: Sequence[Row], asking: Asking) -> Bundle:
    """The packets of these rows."""
    addresses = [int(row.public) for row in rows]
    columns = {"destination": VariableColumn(addresses, addresses)}
    if "protocol" in asking.fields:
        protocols = [row.protocol or 0 for row in rows]
        columns["protocol"] = VariableColumn(protocols, protocols)
    if "destination_port" in asking.fields:
        lows = [row.ports[0] for row in rows if row.ports]
        columns["destination_port"] = VariableColumn(
            lows, lows if asking.exact else [r.ports[1] for r in rows if r.ports]
        )
    return Bundle(columns, rows)


class Finder:
    """Finds the row that a packet is of, by its values of the fields."""

    def __init__(self, rows: Sequence[Row], asking: Asking) -> None:
        self._ranges: defaultdict[tuple[int, int], list[tuple[int, int, Row]]] = defaultdict(list)
        self._exact: dict[tuple[int, ...], Row] = {}
        for number, row in enumerate(rows):
            key = (int(row.public), row.protocol or 0, row.ports[0] if row.ports else 0)
            if asking.exact:
                self._exact[key[: len(asking.fields)]] = row
            else:
                insort(self._ranges[key[:2]], (key[2], number, row))

    def find(self, values: Sequence[int]) -> Row:
        """LookupError: it is of none."""
        if self._exact:
            return self._exact[tuple(values)]
        starts = self._ranges[values[0], values[1]]
        return starts[bisect_right(starts, values[2], key=lambda item: item[0]) - 1][2]
