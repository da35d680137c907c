"""Devices of kind "nvi", which nvi.ko provides: attributes and counters.

Numbers and types of the attributes are those of kmod/include/uapi/linux/if_nvi.h.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache

from nvi_operator.kernel.errors import kernel_errors

KIND = "nvi"

# u32 each, numbered from 1 in the order of if_nvi.h.
_ATTRIBUTES = ("in_interface", "stage_mask", "ttl_compensation", "require_stage", "flow_cache")
_PREFIX = "nvi_"
_FLOW = "flow_"  # begins the names of the flow cache's counters


@cache
def teach_pyroute2() -> None:
    """Registers the attributes: pyroute2 silently drops those of kinds that it does not know."""
    from pyroute2.netlink import nla
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

    class NviData(nla):  # type: ignore[misc]
        prefix = "IFLA_"
        nla_map = (
            ("IFLA_NVI_UNSPEC", "none"),
            *((f"IFLA_{_PREFIX}{name}".upper(), "uint32") for name in _ATTRIBUTES),
        )

    ifinfmsg.ifinfo.register_link_kind(module={KIND: NviData})


def as_request(attributes: tuple[tuple[str, int], ...]) -> Mapping[str, int]:
    """Keyword arguments for pyroute2's `link()`."""
    return {f"{_PREFIX}{name}": value for name, value in attributes}


def attributes_of(data: Mapping[int, bytes]) -> tuple[tuple[str, int], ...]:
    """The attributes of a device, as the kernel lists them, sorted by name."""
    values = {name: data[kind] for kind, name in enumerate(_ATTRIBUTES, 1) if kind in data}
    # By their length: before version 0.2.0 some were u8.
    return tuple(sorted((name, int.from_bytes(value, sys.byteorder)) for name, value in values.items()))


def read_counters(ifname: str) -> dict[str, int]:
    """Packets by reason, as `ethtool -S` shows them. Raises KernelError."""
    from pyroute2.ethtool.ioctl import IoctlEthtool

    with kernel_errors(f"link {ifname}: counters"):
        device = IoctlEthtool(ifname)
        try:
            return {name: int(value) for name, value in device.get_statistics()}
        finally:
            device.close()


def split_counters(counters: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """The counters of the device itself, and those of its flow cache, by the names of the eBPF dataplane's."""
    flows = {name.removeprefix(_FLOW): value for name, value in counters.items() if name.startswith(_FLOW)}
    if "hit" in flows:
        flows = {"entries": flows.pop("entries", 0), "fast": flows.pop("hit"), **flows}
    return {name: value for name, value in counters.items() if not name.startswith(_FLOW)}, flows
