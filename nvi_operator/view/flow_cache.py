"""The flow cache in `status`: how much of the traffic takes the fast path, and why the rest does not."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypedDict

from nvi_operator.language.wording import counted

if TYPE_CHECKING:
    from nvi_operator.plan.change import Plan

GROUP = "flow cache"

# Why a packet took both passes; the words of both dataplanes.
_SLOW = MappingProxyType(
    {
        "uncached_interface": "by an interface where nothing is cached",
        "other_protocol": "neither TCP nor UDP, or not for one host",
        "options": "options of IPv4, or extension headers of IPv6",
        "fragment": "a fragment",
        "malformed": "its headers do not fit its length",
        "tcp_control": "SYN, FIN or RST, which conntrack has to see",
        "unknown": "of a flow that is not known yet, or has no answer yet",
        "learning": "its flow is being learned",
        "invalidated": "something changed, and the flow is confirmed again",
        "expired": "the flow was to be confirmed again",
        "suspended": "an earlier packet of its flow is still between the passes",
        "dscp_differs": "another DSCP than the one that was learned",
        "ttl_low": "its TTL ends here",
        "too_big": "larger than any that came out, or than the MTU",
        "route": "its route changed, and the flow is confirmed again",
        "conntrack": "its connection has ended or has another mark",
        "xfrm": "there are IPsec policies",
    }
)
_ENTRIES = ("entries_ipv4", "entries_ipv6", "entries")
MEANINGS = {
    "fast": "packets that skipped both passes",
    **dict.fromkeys(_ENTRIES, "entries now, one for each direction of a flow"),
    **{reason: f"both passes: {why}" for reason, why in _SLOW.items()},
    "no_slot": "taught nothing: too many packets between the passes",
    "learned": "entries made",
    "changed": "entries whose flow is translated or sent in another way now",
    "evicted": "entries that gave way to others, or were idle",
    "renewed": "entries confirmed again",
    "ended": "entries ended by SYN, FIN or RST",
    "reused": "entries suspended, because another flow has their NAT port",
    "modified": "taught nothing: more was changed than NAT changes",
    "unassured": "taught nothing: conntrack does not hold the flow for good yet",
    "helper": "taught nothing: a conntrack helper reads the flow",
    "unsupported": "taught nothing: by an interface or a route that cannot be cached",
    "full": "taught nothing: there is no room",
}


class FlowCacheStatus(TypedDict):
    """`fast` of `packets` skipped both passes; `entries` of `capacity` are in use."""

    fast: int
    packets: int
    entries: int
    capacity: int


def flow_cache_status(seen: Plan, counters: Mapping[str, Mapping[str, int]]) -> FlowCacheStatus | None:
    """None where there is no cache."""
    found = counters.get(GROUP)
    if found is None:
        return None
    fast = found.get("fast", 0)
    return {
        "fast": fast,
        "packets": fast + sum(found.get(reason, 0) for reason in _SLOW),
        "entries": sum(found.get(name, 0) for name in _ENTRIES),
        "capacity": _capacity(seen),
    }


def summary(status: FlowCacheStatus) -> str:
    """`98.2 % of 120000 packets skipped both passes; 240 of 131072 entries in use`"""
    packets = status["packets"]
    share = f"{100 * status['fast'] / packets:.1f} % of {counted(packets, 'packet')}" if packets else "no packet yet"
    of = f" of {status['capacity']}" if status["capacity"] else ""  # the module's table grows
    return f"{share} skipped both passes; {status['entries']}{of} entries in use"


def _capacity(seen: Plan) -> int:
    from nvi_operator.kinds.flow_cache import FlowCacheProgram  # heavy; the daemon's answer has the number

    sizes = [
        sum(obj.options.entries)
        for obj in seen.before.of_kind("flow-cache")
        if isinstance(obj, FlowCacheProgram) and obj.options is not None
    ]
    return max(sizes, default=0)
