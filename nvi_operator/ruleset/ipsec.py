"""What IPsec decrypts for inside networks takes one pass, unless it is translated.

The device hands a packet back as if it came from the wire, and so without the mark (the kernel's secpath) that says
by which policy it was decrypted; a policy for forwarding would then refuse it (XfrmInTmplMismatch). What is
translated matches no such policy any more.

The other way nothing is to be done: what a policy encrypts never comes to the device.
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
