"""Would the flow cache take the packets of a flow, once it is established? As docs/how-to/flow-cache.md says."""

from __future__ import annotations

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import TCP, UDP
from nvi_operator.explain.verdict import Forwarded
from nvi_operator.explain.walk import Walk
from nvi_operator.kinds.flow_cache import FlowCacheProgram
from nvi_operator.kinds.link import Link


@dataclass(frozen=True)
class Cached:
    """`why` says what keeps a flow out of the cache, where it is not taken."""

    taken: bool
    why: str = ""


def flow_cache(machine: Machine, walk: Walk) -> Cached:
    """What the flow cache does with the flow that the walk opens or belongs to."""
    if not isinstance(walk.verdict, Forwarded):
        return Cached(taken=False, why="it is not forwarded")
    if walk.entering.in_interface is None:
        return Cached(taken=False, why="the gateway's own packets are not cached")
    if walk.entering.protocol not in (TCP, UDP):
        return Cached(taken=False, why="only TCP and UDP are cached")
    if walk.entry is None or not any(step.did == "returned" for step in walk.steps):
        return Cached(taken=False, why="it does not take both passes")
    module = _by_module(machine)
    if module is not None:
        return Cached(module, "" if module else "the flow cache is off")
    return _by_programs(machine, walk, walk.verdict.interface)


def _by_module(machine: Machine) -> bool | None:
    """None: the eBPF dataplane."""
    for link in machine.state.of_kind("link"):
        if isinstance(link, Link) and link.kind == "nvi":
            return bool(dict(link.attributes).get("flow_cache"))
    return None


def _by_programs(machine: Machine, walk: Walk, out: str) -> Cached:
    caching = {
        program.ifname
        for program in machine.state.of_kind("flow-cache")
        if isinstance(program, FlowCacheProgram)
        and program.options is not None
        and program.options.entries[walk.entering.family == 6]
    }
    if not caching:
        return Cached(taken=False, why="the flow cache is off")
    for ifname in (walk.entering.in_interface, out):
        if ifname not in caching:
            return Cached(taken=False, why=f"flows by {ifname} are not cached")
    return Cached(taken=True)
