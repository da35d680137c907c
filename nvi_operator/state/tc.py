"""The eBPF program at the egress of the device, and the interfaces that it may hand packets back to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ProgramOptions:
    """What is compiled into the program."""

    source: Literal["mark", "skb_iif"]  # where the in-interface is read from
    stage_mask: int  # the one bit of the mark that says "stage 2"
    loop_tag: int  # 1-65535: what skb->tc_index holds after the first pass, of this device alone
    hide_hop: bool  # give back the TTL of the second pass


@dataclass(frozen=True, order=True)
class Port:
    """An interface that packets may come in by. `mac` is None where frames have no Ethernet header."""

    ifindex: int
    mac: str | None


@dataclass(frozen=True)
class TcProgram:
    """`options` is None when the live program is not one that this version would have loaded."""

    ifname: str
    options: ProgramOptions | None
    ports: frozenset[Port]

    @property
    def key(self) -> str:
        return f"{self.ifname} egress"
