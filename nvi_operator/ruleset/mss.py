"""The largest segment that TCP may use through an uplink whose MTU is smaller than that of the hosts at both ends.

At the forward hook, which in stage 2 knows the in-interface and the way out. By a number that follows the uplink,
because `rt mtu` of nft looks for the way back by the destination alone (get_tcp_mss()), and here it depends on the
source. A smaller MSS stays (nft_exthdr_tcp_set_eval()).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nvi_operator.language.model.values import Family
from nvi_operator.nft.ast import Assign, Chain, Field, Hook, Match, Verdict
from nvi_operator.ruleset import fields as f
from nvi_operator.topology.interfaces import Uplink
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import MSS

_SYN = Match(Field("tcp flags"), "in", frozenset({"syn"}))  # with or without ACK
_MAXSEG = Field("tcp option maxseg size")
_HEADERS: Mapping[Family, int] = {4: 20 + 20, 6: 40 + 20}  # without options, as a host counts (RFC 6691)


def mss_chains(topology: Topology) -> Iterator[Chain]:
    """Nothing where no uplink asks for it."""
    clamped = {uplink.interface.ifname: uplink for uplink in reversed(topology.uplinks) if uplink.clamped_mtus}
    if not clamped:
        return
    yield Chain(
        "clamp_mss",
        Hook("filter", "forward", MSS),
        tuple(
            (_SYN, Match(way, "==", ifname), Verdict("jump", _chain(uplink)))
            for ifname, uplink in sorted(clamped.items())
            for way in (f.OIFNAME, f.IIFNAME)
        ),
    )
    for uplink in clamped.values():
        mtus = ((family, mtu) for family, mtu in uplink.clamped_mtus.items() if family in topology.families)
        fits = ((f.of_family(family), Assign(_MAXSEG, mtu - _HEADERS[family])) for family, mtu in mtus)
        yield Chain(_chain(uplink), None, tuple(fits))


def _chain(uplink: Uplink) -> str:
    return f"mss_{uplink.label}"
