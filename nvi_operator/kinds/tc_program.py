"""The eBPF program that hands packets back to the interface they came in by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.kind import Kind, Phase
from nvi_operator.topology.model import Topology


@dataclass(frozen=True)
class ProgramOptions:
    """What is compiled into the program."""

    source: Literal["mark", "skb_iif"]  # where the in-interface is read from
    stage_mask: int  # the one bit of the mark that says "stage 2"
    loop_tag: int  # 1-65535: what skb->tc_index holds after the first pass, of this device alone
    hide_hop: bool  # give back the TTL of the second pass
    flow_cache: bool = False  # share tc_index with the flow cache's programs; the loop tag is then not used


@dataclass(frozen=True, order=True)
class InInterface:
    """An interface that packets may come in by. `mac` is None where frames have no Ethernet header."""

    ifindex: int
    mac: str | None


@dataclass(frozen=True)
class TcProgram:
    """`options` is None when the live program is not one that this version would have loaded."""

    ifname: str
    options: ProgramOptions | None
    ports: frozenset[InInterface]

    @property
    def key(self) -> str:
        return f"{self.ifname} egress"


def _desired(topology: Topology) -> Iterator[TcProgram]:
    if topology.dataplane != "bpf":
        return
    yield TcProgram(
        topology.device,
        ProgramOptions(
            topology.in_interface,
            topology.stage_mask,
            topology.loop_tag,
            topology.hide_hop,
            flow_cache=topology.flow_cache is not None,
        ),
        frozenset(InInterface(p.ifindex, p.mac) for p in topology.interfaces if p.ifindex is not None),
    )


def _describe(program: TcProgram) -> str:
    if program.options is None:
        return f"{program.key}: a foreign program"
    interfaces = ", ".join(
        f"{port.ifindex}" + (f" ({port.mac})" if port.mac else "")
        for port in sorted(program.ports, key=lambda port: port.ifindex)
    )
    extras = ", hop hidden" if program.options.hide_hop else ""
    extras += ", with flow cache" if program.options.flow_cache else ""
    return f"{program.key}: in-interface by {program.options.source}{extras}; interfaces {interfaces}"


TC_PROGRAM = Kind(
    "tc-program",
    TcProgram,
    "eBPF programs",
    _desired,
    phase=lambda program: Phase.PROGRAM,
    describe=_describe,
    noun="eBPF program",
    lives_on=lambda program: program.ifname,
)
