"""The programs of the flow cache at an interface of the gateway: established flows skip both passes.

The one at the ingress finds a packet's flow and sends the packet where the slow path sent the one before; the one at
the egress learns where that was. All interfaces share one set of maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nvi_operator.kind import Kind, Phase
from nvi_operator.topology.model import Topology


@dataclass(frozen=True)
class FlowCacheOptions:
    """What the programs are loaded with, the same at every interface."""

    stage_mask: int
    entries: tuple[int, int]  # directions of IPv4 and of IPv6 flows; 0: the gateway has none
    interval: int  # milliseconds, see topology/flow_cache.py


@dataclass(frozen=True)
class FlowCachePrograms:
    """`options` is None where the live programs are not the ones that this version would have loaded.

    `cached`: are flows by this interface cached? Where not, the programs only see to it that no packet bears what
    the cache of another gateway left in it.
    """

    ifname: str
    options: FlowCacheOptions | None
    cached: bool = True

    @property
    def key(self) -> str:
        return self.ifname


def _desired(topology: Topology) -> Iterator[FlowCachePrograms]:
    cache = topology.flow_cache
    if cache is None or topology.dataplane != "bpf":
        return
    options = FlowCacheOptions(
        topology.stage_mask, (cache.entries.get(4, 0), cache.entries.get(6, 0)), cache.interval
    )
    for interface in topology.interfaces:
        if interface.ifindex is not None:
            yield FlowCachePrograms(interface.ifname, options, interface.ifname in cache.cached)


def _replaces(before: FlowCachePrograms, after: FlowCachePrograms) -> bool:
    """With another stage bit the programs would take packets of one stage for those of the other meanwhile."""
    if before.options is None or after.options is None:
        return False
    return before.options.stage_mask != after.options.stage_mask


def _describe(programs: FlowCachePrograms) -> str:
    if programs.options is None:
        return f"{programs.ifname}: foreign programs"
    if not programs.cached:
        return f"{programs.ifname}: caches nothing"
    counts = zip((4, 6), programs.options.entries, strict=True)
    entries = " and ".join(f"{count} IPv{family}" for family, count in counts if count)
    return f"{programs.ifname}: {entries} entries, confirmed at least every {programs.options.interval} ms"


FLOW_CACHE = Kind(
    "flow-cache",
    FlowCachePrograms,
    "flow cache",
    _desired,
    phase=lambda programs: Phase.FLOW_CACHE,
    describe=_describe,
    noun="eBPF program",
    bypasses=True,
    replaces=_replaces,
    lives_on=lambda programs: programs.ifname,
)
