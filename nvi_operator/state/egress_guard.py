"""The eBPF program at an interface's egress: what may leave by it, independent of nftables and of FIB rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Literal


class Standing(IntFlag):
    """What a prefix means to one interface. A prefix with none of these is foreign."""

    NONE = 0
    OWN = 1  # a source of this uplink; at an inside interface, of any uplink
    INSIDE = 2  # an inside network, whose addresses leave translated only
    OTHER = 4  # a source of another uplink
    FREE = 8  # leaves: at an inside interface, what is no uplink's


@dataclass(frozen=True)
class GuardEntry:
    """One prefix, as the source or the destination of a packet; the longest match counts.

    `lines` has a bit for each line of the spec that lets such packets leave though their source is not the uplink's:
    a packet leaves if a line has its bit at both ends and stage 1 has seen the packet.
    """

    side: Literal["source", "destination"]
    network: str
    standing: Standing = Standing.NONE
    lines: int = 0


@dataclass(frozen=True)
class EgressGuard:
    """`stage_mask` is None when the live program is not one that this version would have loaded."""

    ifname: str
    stage_mask: int | None
    entries: frozenset[GuardEntry]

    @property
    def key(self) -> str:
        return f"{self.ifname} egress"
