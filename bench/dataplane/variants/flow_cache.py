"""Ours with the flow cache."""

from __future__ import annotations

from collections.abc import Callable

from bench.dataplane.bed import Bed
from bench.dataplane.variants.two_stages import two_stages
from nvi_operator.kernel.bpf.attach import Mechanism
from tests.dataplane.flow_cache import FlowCache, retag
from tests.lab import Lab


def cached(mechanism: Mechanism, entries: int = 1 << 16) -> Callable[[Lab, str], Bed]:
    def build(lab: Lab, name: str) -> Bed:
        bed = two_stages("bpf", "mark")(lab, name)
        retag(bed.outer, "nvi0")
        bed.outer.write("net/netfilter/nf_conntrack_tcp_be_liberal", "1")
        bed.cache = FlowCache(bed.outer, mechanism, entries=entries)
        bed.cache.attach("lan0", "wan0", "wan1")
        return bed

    return build
