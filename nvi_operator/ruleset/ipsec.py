"""Packets that IPsec decrypts for inside networks take one pass, unless they are translated.

The device returns a packet as if it came from the wire, without the record (the kernel's secpath) of the policy that
decrypted it; a policy for forwarding would then refuse it (XfrmInTmplMismatch). A translated packet matches no such
policy any more.

The other direction needs no rule: packets that a policy encrypts never reach the device.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.nft.ast import Chain, Field, Hook, Match, SetBits
from nvi_operator.ruleset import fields as f
from nvi_operator.ruleset.guard import inside_set
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import DECRYPTED


def ipsec_chains(topology: Topology) -> Iterator[Chain]:
    """The stage bit keeps such packets from being steered."""
    if not topology.ipsec:
        return
    rules = tuple(
        (
            Match(Field("meta ipsec"), "==", "exists"),
            f.in_set(f.daddr(family), *inside_set(topology, family)),
            Match(f.CT_STATUS, "not in", frozenset({"snat", "dnat"})),
            SetBits(f.META_MARK, topology.stage_mask),
        )
        for family in topology.families
        if topology.inside_networks(family)
    )
    yield Chain("decrypted", Hook("filter", "prerouting", DECRYPTED), rules)
