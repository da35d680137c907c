"""The eBPF program that hands packets back to the interface they came in by."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.kinds.kind import Kind, Phase
from nvi_operator.state.tc import Port, ProgramOptions, TcProgram
from nvi_operator.topology.model import Topology


def _desired(topology: Topology) -> Iterator[TcProgram]:
    if topology.dataplane != "bpf":
        return
    yield TcProgram(
        topology.device,
        ProgramOptions(topology.in_interface, topology.stage_mask, topology.loop_tag, topology.hide_hop),
        frozenset(Port(p.ifindex, p.mac) for p in topology.interfaces if p.ifindex is not None),
    )


TC_PROGRAM = Kind("tc-program", _desired, lambda program: Phase.PROGRAM, lives_on=lambda program: program.ifname)
