"""The NAT virtual interface, and the group that uplinks get."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """A virtual device of ours. `group` (IFLA_GROUP) is set at birth, and is what makes it ours."""

    ifname: str
    kind: str  # rtnl_link_ops kind: "ifb" carries the eBPF dataplane, "nvi" is the module's own
    group: int
    mtu: int
    up: bool = True
    attributes: tuple[tuple[str, int], ...] = ()  # IFLA_NVI_* of kind "nvi", sorted

    @property
    def key(self) -> str:
        return self.ifname


@dataclass(frozen=True)
class LinkGroup:
    """The group of somebody else's interface: lent to us, given back by `down`."""

    ifname: str
    group: int

    @property
    def key(self) -> str:
        return self.ifname
