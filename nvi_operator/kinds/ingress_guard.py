"""A program at the ingress of each of the gateway's interfaces, which refuses the gateway's own addresses as sources.

It says what the anti-spoof guard in `ruleset/raw.py` says of local sources, and must let the same packets in.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from nvi_operator.dataclass import dataclass
from nvi_operator.kind import Kind, Phase
from nvi_operator.topology.model import Topology


@dataclass(frozen=True)
class IngressGuard:
    """`entries` are addresses of the gateway.

    `stage_mask` is None when the live program is not one that this version would load, or not where it belongs.
    """

    ifname: str
    stage_mask: int | None
    entries: frozenset[str]

    @property
    def key(self) -> str:
        return f"{self.ifname} ingress"


def _desired(topology: Topology) -> Iterator[IngressGuard]:
    if not topology.programs or topology.guards.anti_spoof == "off":
        return
    own = [(ifname, address) for ifname, address in topology.local if address.version in topology.families]
    for interface in topology.interfaces:
        if interface.ifindex is not None:
            # Of tenants another one's host may have the address of an interface.
            entries = (str(address) for ifname, address in own if not topology.tenants or ifname == interface.ifname)
            yield IngressGuard(interface.ifname, topology.stage_mask, frozenset(entries))


def _describe(guard: IngressGuard) -> str:
    if guard.stage_mask is None:
        return f"{guard.key}: a foreign program"
    own = sorted(map(ip_address, guard.entries), key=lambda address: (address.version, address))
    return f"{guard.key}: own {', '.join(map(str, own)) or 'none'}"


INGRESS_GUARD = Kind(
    "ingress-guard",
    IngressGuard,
    "guards at the interfaces' ingress",
    _desired,
    phase=lambda guard: Phase.BACKSTOP,
    describe=_describe,
    noun="eBPF program",
    lives_on=lambda guard: guard.ifname,
)
