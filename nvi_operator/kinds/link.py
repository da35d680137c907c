"""The NAT virtual interface itself.

The eBPF dataplane is carried by an `ifb`: no ARP, and it drops everything while it has no program.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.dataclass import dataclass
from nvi_operator.kind import Kind, Phase, command
from nvi_operator.topology.model import Topology

ALIAS = "nvi-operator: numbers: "  # begins the alias of the device; the numbers of its spec follow


def device_alias(link_group: int, protocol: int) -> str:
    return f"{ALIAS}{{linkGroup: {link_group}, protocol: {protocol}}}"


@dataclass(frozen=True)
class Link:
    """The virtual device. `kernel/drivers/link.py` says by which signs it is recognised as owned."""

    ifname: str
    kind: str  # rtnl_link_ops kind: "ifb" carries the eBPF dataplane, "nvi" is the module's own
    group: int
    mtu: int
    up: bool = True
    attributes: tuple[tuple[str, int], ...] = ()  # IFLA_NVI_* of kind "nvi", sorted
    labelled: bool = True  # does the alias (IFLA_IFALIAS) name the numbers of the spec?

    @property
    def key(self) -> str:
        return self.ifname


MTU = {"ifb": 65535, "nvi": 65536}  # above any packet: stage 1 must never fragment


def _desired(topology: Topology) -> Iterator[Link]:
    if topology.dataplane == "bpf":
        yield Link(topology.device, "ifb", topology.device_group, MTU["ifb"])
        return
    attributes = {
        "in_interface": 0 if topology.in_interface == "mark" else 1,
        "stage_mask": topology.stage_mask,
        "require_stage": 1,
        "ttl_compensation": int(topology.hide_hop),
        "flow_cache": int(topology.flow_cache is not None),
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


def _describe(link: Link) -> str:
    attributes = "".join(f" {name} {_attribute(name, value)}" for name, value in link.attributes)
    state = f"{'up' if link.up else 'down'}{'' if link.labelled else ' without its alias'}"
    return f"{link.ifname} type {link.kind}{attributes} mtu {link.mtu} group {link.group} {state}"


def _attribute(name: str, value: int) -> str:
    """The value as if_nvi.h names it."""
    if name == "stage_mask":
        return f"{value:#x}"
    return ("mark", "skb_iif")[value] if name == "in_interface" else ("off", "on")[value]


def _script(link: Link, topology: Topology) -> Iterator[str]:
    """None for kind nvi: ip(8) does not know its attributes."""
    if link.attributes:
        return
    set_ = ("ip", "link", "set", "dev", link.ifname)
    yield command("ip", "link", "add", "name", link.ifname, "mtu", link.mtu, "group", link.group, "type", link.kind)
    yield command(*set_, "addrgenmode", "none")
    yield command(*set_, "alias", device_alias(topology.link_group, topology.protocol))
    yield command(*set_, "up")


LINK = Kind(
    "link",
    Link,
    "links",
    _desired,
    phase=lambda link: Phase.LINK,
    describe=_describe,
    noun="device",
    script=_script,
    replaces=_replaces,
    is_link=lambda link: link.ifname,
)
