"""Ours with the flow cache as filters of clsact, as kernels before 6.6 have it: attached without the operator."""

from __future__ import annotations

from bench.dataplane.bed import Bed
from bench.dataplane.variants.two_stages import two_stages
from tests.dataplane.flow_cache import FlowCache, retag
from tests.lab import Lab

_CACHES: list[FlowCache] = []  # whose maps live as long as the process


def cached_by_clsact(lab: Lab, name: str) -> Bed:
    bed = two_stages("bpf", "mark")(lab, name)
    retag(bed.outer, "nvi0")
    bed.outer.write("net/netfilter/nf_conntrack_tcp_be_liberal", "1")
    cache = FlowCache(bed.outer, "clsact", entries=1 << 16)
    cache.attach("lan0", "wan0", "wan1")
    _CACHES.append(cache)
    return bed
