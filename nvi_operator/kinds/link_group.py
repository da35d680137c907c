"""The uplinks' link group, by which one FIB rule keeps routes through any uplink out of stage 2's way.

Without it a specific route through an uplink in `main` beats the translated source.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.kinds.kind import Kind, Phase
from nvi_operator.state.link import LinkGroup
from nvi_operator.topology.model import Topology


def _desired(topology: Topology) -> Iterator[LinkGroup]:
    present = {interface.ifname for interface in topology.interfaces if interface.ifindex is not None}
    for ifname in topology.uplink_ifnames:
        if ifname in present:
            yield LinkGroup(ifname, topology.link_group)


LINK_GROUP = Kind("link-group", _desired, lambda group: Phase.ROUTES)
