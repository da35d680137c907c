"""Public addresses that the gateway answers for on an uplink's wire, by ARP and neighbour discovery.

They are on no interface: the ISP takes them to be on the wire, and asks there. An entry is of one address; proxy_arp,
which would answer for everything, stays off.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.dataclass import dataclass
from nvi_operator.kind import Kind, Phase, command
from nvi_operator.topology.model import Topology


@dataclass(frozen=True)
class ProxyNeighbour:
    ifname: str
    address: str

    @property
    def key(self) -> str:
        return f"{self.address} dev {self.ifname}"


def _desired(topology: Topology) -> Iterator[ProxyNeighbour]:
    """While the link has a carrier: whoever is there when it comes back is told again (kernel/announcement.py)."""
    seen: set[ProxyNeighbour] = set()
    for uplink in topology.uplinks:
        if uplink.interface.up and uplink.interface.carrier:
            for address in uplink.announced:
                entry = ProxyNeighbour(uplink.interface.ifname, str(address))
                if entry not in seen:
                    seen.add(entry)
                    yield entry


def _script(entry: ProxyNeighbour, topology: Topology) -> Iterator[str]:
    yield command("ip", "neigh", "add", "proxy", entry.address, "dev", entry.ifname, "protocol", topology.protocol)


PROXY_NEIGHBOUR = Kind(
    "proxy-neighbour",
    ProxyNeighbour,
    "announced addresses",
    _desired,
    phase=lambda entry: Phase.ROUTES,
    describe=lambda entry: f"proxy {entry.address} dev {entry.ifname}",
    noun="announced address",
    lives_on=lambda entry: entry.ifname,
    script=_script,
)
