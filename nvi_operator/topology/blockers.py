"""What keeps a flow cache from being used: it has to see every packet, or treats packets of one flow differently.

`doctor/flow_cache.py` finds those of the host, `flow_cache.py` here those of the spec. plan, status and doctor name
them in the words below. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from nvi_operator.dataclass import dataclass

Reason = Literal[
    "counter",
    "limit",
    "quota",
    "log",
    "queue",
    "dup",
    "trace",
    "set_update",
    "connlimit",
    "packet_match",
    "mac_match",
    "time_match",
    "mark",
    "rewrite",
    "synproxy",
    "helper",
    "conntrack_timeout",
    "flowtable",
    "unknown",
    "iptables_extension",
    "iptables_legacy",
    "unreadable",
    "tc_filter",
    "tcx_program",
    "ipsec",
    "conntrack_accounting",
    "bridge_netfilter",
    "master",
    "no_ethernet",
    "no_programs",
    "keep_marks",
]

# What a blocker does, as the predicate of a sentence whose subject is its place.
WHY: Mapping[Reason, str] = MappingProxyType(
    {
        "counter": "counts every packet",
        "limit": "measures the rate of packets",
        "quota": "adds up the bytes of packets",
        "log": "logs every packet",
        "queue": "hands every packet to a program",
        "dup": "copies or diverts every packet",
        "trace": "traces every packet",
        "set_update": "writes each packet's data to a set",
        "connlimit": "counts connections at every packet",
        "packet_match": "decides by what differs from packet to packet of a flow",
        "mac_match": "checks the MAC address of every packet",
        "time_match": "decides by the time of day",
        "mark": "gives packets of one flow different marks",
        "rewrite": "rewrites every packet",
        "synproxy": "shifts the sequence numbers of a connection",
        "helper": "reads connections with a conntrack helper, which may shift their sequence numbers",
        "conntrack_timeout": "makes conntrack forget flows before the cache would confirm them",
        "flowtable": "offloads flows by a cache of its own",
        "unknown": "does what is not known here",
        "iptables_extension": "uses an extension of iptables that nft does not show",
        "iptables_legacy": "holds rules that nft does not show",
        "unreadable": "cannot be read",
        "tc_filter": "sees every packet before the stack does",
        "tcx_program": "sees every packet before the stack does",
        "ipsec": "may apply to every packet",
        "conntrack_accounting": "asks conntrack to count every packet",
        "bridge_netfilter": "translates packets within the bridge, before the cache sees them",
        "master": "hands its packets to that interface",
        "no_ethernet": "has frames without an Ethernet header",
        "no_programs": "cannot be loaded here",
        "keep_marks": "lets each packet keep a mark of its own",
    }
)


@dataclass(frozen=True)
class Blocker:
    """`where` is a place, or a setting; `ifname` is the interface that it concerns, None for the whole gateway.

    `reason` never changes its meaning; `remedy` holds one action per line, commands ready to be pasted.
    """

    reason: Reason
    where: str
    remedy: str = ""
    ifname: str | None = None

    def __str__(self) -> str:
        return f"{self.where} {WHY[self.reason]}"
