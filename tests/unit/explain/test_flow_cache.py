"""Which flows the cache would take once they are established."""

from __future__ import annotations

import pytest

from nvi_operator.explain.flow_cache import flow_cache
from tests.unit.explain.gateways import EDGE, gateway, link, the_walk

CACHE = "dataplane: { flowCache: auto }"


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ("lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:443", ""),
        ("lan0 udp 192.168.1.5:40000 -> 192.0.2.1:443", ""),
        ("lan0 icmp 192.168.1.5:7 -> 192.0.2.1", "only TCP and UDP are cached"),
        ("lan0 tcp 192.168.1.5:40000 -> 192.168.1.1:22", "it is not forwarded"),
        ("self tcp 203.0.113.2:40000 -> 192.0.2.1:443", "the gateway's own packets are not cached"),
    ],
)
def test_tcp_and_udp_between_interfaces_are_cached(sent: str, why: str) -> None:
    edge = gateway(EDGE, CACHE)
    found = flow_cache(edge, the_walk(edge, sent))
    assert (found.taken, found.why) == (not why, why)


def test_nothing_is_cached_by_default_nor_by_an_interface_without_ethernet() -> None:
    words = "lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:443"
    edge = gateway(EDGE)
    assert flow_cache(edge, the_walk(edge, words)).why == "the flow cache is off"
    bare = {"wan0": link("wan0", 9, "203.0.113.2/29")}
    bare["wan0"] = type(bare["wan0"])(**{**vars(bare["wan0"]), "mac": None})
    edge = gateway(EDGE, CACHE, bare)
    assert flow_cache(edge, the_walk(edge, words)).why == "flows by wan0 are not cached"
