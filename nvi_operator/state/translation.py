"""A flow that conntrack translates, and what of the ports of an address such flows take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address

from nvi_operator.dataclass import dataclass

Address = IPv4Address | IPv6Address

PORTS = 65536 - 1024  # that the kernel chooses from for a source port from 1024 on (nf_nat_l4proto_unique_tuple)
FULL = 0.8  # of the ports to one destination: new flows begin to search long, and soon to fail


@dataclass(frozen=True, slots=True)
class FlowTranslation:
    """The first packet's addresses, and what they became. Ports are 0 where the protocol has none.

    `packets` and `bytes` are of both directions; None: the host does not count them (nf_conntrack_acct).
    """

    protocol: str
    source: Address
    source_port: int
    destination: Address
    destination_port: int
    new_source: Address
    new_source_port: int
    new_destination: Address
    new_destination_port: int
    zone: int
    mark: int
    seconds_left: int
    packets: int | None
    bytes: int | None


@dataclass(frozen=True)
class PoolUse:
    """Flows that leave with one address. Only flows to the same destination and port compete for its ports."""

    address: Address
    protocol: str
    flows: int
    busiest: tuple[Address, int]  # the destination with the most flows
    busiest_flows: int

    @property
    def share(self) -> float:
        """The share of the ports to the busiest destination."""
        return self.busiest_flows / PORTS

    @property
    def is_nearly_full(self) -> bool:
        return self.share >= FULL


def pool_uses(flows: Iterable[FlowTranslation]) -> Iterator[PoolUse]:
    """The uses by translated address and protocol, the fullest first."""
    by_destination: Counter[tuple[Address, str, Address, int]] = Counter()
    for flow in flows:
        if flow.new_source != flow.source and flow.protocol in ("tcp", "udp"):
            by_destination[flow.new_source, flow.protocol, flow.new_destination, flow.new_destination_port] += 1
    totals: Counter[tuple[Address, str]] = Counter()
    busiest: dict[tuple[Address, str], tuple[int, tuple[Address, int]]] = {}
    for (address, protocol, destination, port), count in by_destination.items():
        key = address, protocol
        totals[key] += count
        if count > busiest.get(key, (0, None))[0]:
            busiest[key] = count, (destination, port)
    uses = (PoolUse(*key, total, busiest[key][1], busiest[key][0]) for key, total in totals.items())
    yield from sorted(uses, key=lambda use: (-use.busiest_flows, str(use.address), use.protocol))
