"""The programs of the flow cache at the interfaces of the gateway: established flows skip both passes.

The one at the ingress finds a packet's flow and sends the packet where the slow path sent the one before; the one at
the egress learns where that was. All of them share one set of maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.kind import Kind, Phase
from nvi_operator.topology.model import Topology

Hook = Literal["ingress", "egress"]
HOOKS: tuple[Hook, ...] = ("egress", "ingress")  # what teaches nothing is no cache, so the egress comes first


@dataclass(frozen=True)
class FlowCacheOptions:
    """What the programs are loaded with."""

    stage_mask: int
    entries: tuple[int, int]  # directions of IPv4 and of IPv6 flows, at most; (0, 0): nothing is cached here
    interval: int  # milliseconds, see topology/flow_cache.py

    @property
    def caches(self) -> bool:
        """Where not, the programs only see to it that no packet bears what another gateway's cache left in it."""
        return any(self.entries)


@dataclass(frozen=True)
class FlowCacheProgram:
    """`options` is None where the live program is not the one that this version would have loaded."""

    ifname: str
    hook: Hook
    options: FlowCacheOptions | None

    @property
    def key(self) -> str:
        return f"{self.ifname} {self.hook}"


def _desired(topology: Topology) -> Iterator[FlowCacheProgram]:
    cache = topology.flow_cache
    if cache is None or topology.dataplane != "bpf":
        return
    entries = cache.entries.get(4, 0), cache.entries.get(6, 0)
    cached = FlowCacheOptions(topology.stage_mask, entries, cache.interval)
    clean = FlowCacheOptions(topology.stage_mask, (0, 0), 0)
    for interface in topology.interfaces:
        if interface.ifindex is not None:
            for hook in HOOKS:
                options = cached if interface.ifname in cache.cached else clean
                yield FlowCacheProgram(interface.ifname, hook, options)


def _replaces(before: FlowCacheProgram, after: FlowCacheProgram) -> bool:
    """With another stage bit the programs would take packets of one stage for those of the other meanwhile."""
    if before.options is None or after.options is None:
        return False
    return before.options.stage_mask != after.options.stage_mask


def _describe(program: FlowCacheProgram) -> str:
    if program.options is None:
        return f"{program.key}: a foreign program"
    if not program.options.caches:
        return f"{program.key}: caches nothing"
    counts = zip((4, 6), program.options.entries, strict=True)
    entries = " and ".join(f"{count} IPv{family}" for family, count in counts if count)
    return f"{program.key}: {entries} entries, confirmed at least every {program.options.interval} ms"


FLOW_CACHE = Kind(
    "flow-cache",
    FlowCacheProgram,
    "flow cache",
    _desired,
    phase=lambda program: Phase.FLOW_CACHE,
    describe=_describe,
    noun="eBPF program",
    bypasses=True,
    within=lambda program: HOOKS.index(program.hook),
    replaces=_replaces,
    lives_on=lambda program: program.ifname,
)
