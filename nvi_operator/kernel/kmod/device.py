"""What is particular to devices of kind "nvi", the kernel module's own: attributes and counters.

The numbers and types are those of kmod/include/uapi/linux/if_nvi.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from nvi_operator.kernel.errors import kernel_errors

KIND = "nvi"

# As in enum of if_nvi.h; the order is the number.
_ATTRIBUTES = (
    ("source", "uint8"),
    ("stage_mask", "uint32"),
    ("ttl_compensation", "uint8"),
    ("require_stage", "uint8"),
)
_PREFIX = "nvi_"


@cache
def teach_pyroute2() -> None:
    """pyroute2 drops attributes of kinds that it does not know, in silence."""
    from pyroute2.netlink import nla
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

    class NviData(nla):  # type: ignore[misc]
        prefix = "IFLA_"
        nla_map = (
            ("IFLA_NVI_UNSPEC", "none"),
            *((f"IFLA_{_PREFIX}{name}".upper(), type_) for name, type_ in _ATTRIBUTES),
        )

    ifinfmsg.ifinfo.register_link_kind(module={KIND: NviData})


def as_request(attributes: tuple[tuple[str, int], ...]) -> Mapping[str, int]:
    """As keywords of pyroute2's `link()`."""
    return {f"{_PREFIX}{name}": value for name, value in attributes}


def attributes_of(link: Any) -> tuple[tuple[str, int], ...]:
    """What a device of kind nvi says of itself (a message of `get_links()`), sorted."""
    data = link.get("linkinfo").get("data")
    said = {name: data.get(f"{_PREFIX}{name}") for name, _ in _ATTRIBUTES} if data else {}
    return tuple(sorted((name, value) for name, value in said.items() if value is not None))


def read_counters(ifname: str) -> dict[str, int]:
    """Packets by reason, as `ethtool -S` shows them. Raises KernelError."""
    from pyroute2.ethtool.ioctl import IoctlEthtool

    with kernel_errors(f"link {ifname}: counters"):
        device = IoctlEthtool(ifname)
        try:
            return {name: int(value) for name, value in device.get_statistics()}
        finally:
            device.close()
