"""A program at the ingress of each of the gateway's interfaces, which refuses the gateway's own addresses as sources.

It says what the anti-spoof guard in `ruleset/raw.py` says of local sources, and must let the same packets in.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.kinds.kind import Kind, Phase
from nvi_operator.state.ingress_guard import IngressGuard
from nvi_operator.topology.model import Topology


def _desired(topology: Topology) -> Iterator[IngressGuard]:
    if not topology.programs or topology.guards.anti_spoof == "off":
        return
    own = [(ifname, address) for ifname, address in topology.local if address.version in topology.families]
    for interface in topology.interfaces:
        if interface.ifindex is not None:
            # Of tenants another one's host may have the address of an interface.
            entries = (str(address) for ifname, address in own if not topology.tenants or ifname == interface.ifname)
            yield IngressGuard(interface.ifname, topology.stage_mask, frozenset(entries))


INGRESS_GUARD = Kind("ingress-guard", _desired, lambda guard: Phase.BACKSTOP, lives_on=lambda guard: guard.ifname)
