"""The NAT virtual interface itself.

The eBPF dataplane is carried by an `ifb`: no ARP, and it drops everything while it has no program.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.kinds.kind import Kind, Phase
from nvi_operator.state.link import Link
from nvi_operator.topology.model import Topology

MTU = {"ifb": 65535, "nvi": 65536}  # above any packet: stage 1 must never fragment


def _desired(topology: Topology) -> Iterator[Link]:
    if topology.dataplane == "bpf":
        yield Link(topology.device, "ifb", topology.device_group, MTU["ifb"])
        return
    attributes = {
        "source": 0 if topology.in_interface == "mark" else 1,
        "stage_mask": topology.stage_mask,
        "require_stage": 1,
        "ttl_compensation": int(topology.hide_hop),
    }
    yield Link(
        topology.device,
        "nvi",
        topology.device_group,
        MTU["nvi"],
        attributes=tuple(sorted(attributes.items())),
    )


def _replaces(before: Link, after: Link) -> bool:
    return before.kind != after.kind


LINK = Kind("link", _desired, lambda link: Phase.LINK, replaces=_replaces)
