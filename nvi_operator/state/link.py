"""The NAT virtual interface, and the group that uplinks get."""

from __future__ import annotations

from dataclasses import dataclass

ALIAS = "nvi-operator: numbers: "  # begins the alias of a device of ours; the numbers of its spec follow


@dataclass(frozen=True)
class Link:
    """A virtual device of ours. `kernel/drivers/link.py` says by which signs it is known."""

    ifname: str
    kind: str  # rtnl_link_ops kind: "ifb" carries the eBPF dataplane, "nvi" is the module's own
    group: int
    mtu: int
    up: bool = True
    attributes: tuple[tuple[str, int], ...] = ()  # IFLA_NVI_* of kind "nvi", sorted
    labelled: bool = True  # does the alias (IFLA_IFALIAS) name our numbers?

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
