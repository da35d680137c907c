"""The uplinks' link group, by which one FIB rule keeps routes through any uplink out of stage 2's way.

Without it a specific route through an uplink in `main` beats the translated source.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.dataclass import dataclass
from nvi_operator.kind import Kind, Phase, command
from nvi_operator.state.restorable import is_ifname, is_number
from nvi_operator.topology.model import Topology


@dataclass(frozen=True)
class LinkGroup:
    """The group of an interface of the host: changed for the gateway, restored by `down`."""

    ifname: str
    group: int

    @property
    def key(self) -> str:
        return self.ifname


def _desired(topology: Topology) -> Iterator[LinkGroup]:
    present = {interface.ifname for interface in topology.interfaces if interface.ifindex is not None}
    for ifname in topology.uplink_ifnames:
        if ifname in present:
            yield LinkGroup(ifname, topology.link_group)


def _restores(ifname: str, group: str) -> bool:
    return is_ifname(ifname) and is_number(group, 1 << 32)


LINK_GROUP = Kind(
    "link-group",
    LinkGroup,
    "link groups of the uplinks",
    _desired,
    phase=lambda group: Phase.ROUTES,
    describe=lambda group: f"{group.ifname} group {group.group}",
    noun="link group",
    script=lambda group, topology: [command("ip", "link", "set", "dev", group.ifname, "group", group.group)],
    restores=_restores,
)
