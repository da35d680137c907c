"""A direction of a flow that the cache holds, as both dataplanes tell it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from nvi_operator.dataclass import dataclass

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class FlowTuple:
    """Addresses and ports of a packet."""

    source: Address
    source_port: int
    destination: Address
    destination_port: int


@dataclass(frozen=True)
class Flow:
    """What comes in by an interface, and what becomes of it.

    `packets` and `bytes` (of IP) took the fast path since the flow was learned. `confirmed`: if not, its packets take
    the slow path until that has let one through.
    """

    protocol: Literal["tcp", "udp"]
    in_interface: str
    original: FlowTuple
    out_interface: str
    translated: FlowTuple
    packets: int
    bytes: int
    confirmed: bool
