"""What conntrack remembers of a flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Tuple:
    """One direction of a flow as conntrack has it. An ICMP echo has its identifier as both ports."""

    source: int
    destination: int
    source_port: int
    destination_port: int


@dataclass(frozen=True)
class Entry:
    """A conntrack entry: the packet that opened the flow, and the answer that is expected.

    `zone` is that of the original direction; replies are in zone 0. `status` has snat, dnat. `answered`: a TCP
    connection that is not takes no further segments but SYN and RST of who opened it.
    """

    family: Literal[4, 6]
    protocol: int
    original: Tuple
    reply: Tuple
    zone: int = 0
    mark: int = 0
    status: frozenset[str] = frozenset()
    answered: bool = True
