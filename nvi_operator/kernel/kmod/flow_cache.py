"""The flow cache of a device of kind "nvi": its entries, what took the fast path, and its invalidation.

The module's generic netlink family, as kmod/include/uapi/linux/if_nvi.h declares it. Routes, neighbours, interfaces
and conntrack entries need no invalidation: the module sees them change.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.kernel.bpf.flow_cache import Traffic
from nvi_operator.kernel.netlink.socket import ACK, DUMP, Netlink
from nvi_operator.nft.wire.attributes import attribute, attributes
from nvi_operator.state.flow import FlowTuple

_GENERIC, _CONTROL = 16, 16  # NETLINK_GENERIC, GENL_ID_CTRL
_GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 3, 1, 2  # CTRL_CMD_*, CTRL_ATTR_*
_GET_FLOW, _GET_PATH, _INVALIDATE = 1, 2, 3  # enum nvi_command

# NVI_ATTR_*
_DEVICE, _INTERFACE, _IN, _OUT, _PROTOCOL = 2, 3, 4, 5, 6
_ORIGINAL = (7, 8, 9, 10)  # source, destination, and their ports
_TRANSLATED = (11, 12, 13, 14)
_MARK, _PACKETS, _BYTES, _ACTIVE, _IDLE = 15, 16, 17, 18, 19


@dataclass(frozen=True)
class ModuleFlow:
    """One direction of a flow: what comes in by an interface, and what the cache makes of it.

    `idle` is in milliseconds. `packets` and `bytes` (of IP) count what took the fast path.
    """

    protocol: Literal["tcp", "udp"]
    iif: int
    original: FlowTuple
    oif: int
    translated: FlowTuple
    mark: int
    suspended: bool
    idle: int
    packets: int
    bytes: int


class ModuleFlowCache(Netlink):
    """The flow cache of a device of the namespace in which this was made.

    Methods raise OSError: ENODEV where there is no such device, ENOENT where it is down or has no flow cache.
    """

    def __init__(self, ifindex: int) -> None:
        super().__init__(_GENERIC)
        self._device = attribute(_DEVICE, struct.pack("=I", ifindex))
        self._family = 0

    def flows(self) -> Iterator[ModuleFlow]:
        """The entries that have been learned. One that moves meanwhile may come twice."""
        for attrs in self._ask_module(_GET_FLOW, DUMP):
            if _OUT in attrs:
                yield _flow(attrs)

    def traffic(self) -> dict[tuple[int, int], Traffic]:
        """What took the fast path since the device was up, by in- and out-interface."""
        return {
            (_u32(attrs[_IN]), _u32(attrs[_OUT])): Traffic(_u64(attrs[_PACKETS]), _u64(attrs[_BYTES]))
            for attrs in self._ask_module(_GET_PATH, DUMP)
        }

    def invalidate(self, ifindex: int | None = None) -> None:
        """Have the slow path confirm all entries again, or those from and to an interface."""
        interface = b"" if ifindex is None else attribute(_INTERFACE, struct.pack("=I", ifindex))
        for _ in self._ask_module(_INVALIDATE, ACK, interface):
            pass

    def _ask_module(self, command: int, flags: int, attrs: bytes = b"") -> Iterator[Mapping[int, bytes]]:
        if not self._family:
            named = attribute(_FAMILY_NAME, b"nvi\0")
            (found,) = self._request(_CONTROL, _GET_FAMILY, ACK, named)
            (self._family,) = struct.unpack("=H", found[_FAMILY_ID])
        yield from self._request(self._family, command, flags, self._device + attrs)

    def _request(self, family: int, command: int, flags: int, attrs: bytes) -> Iterator[Mapping[int, bytes]]:
        for reply in self.ask(family, flags, struct.pack("=BBxx", command, 1) + attrs):
            yield dict(attributes(reply.body[4:]))


def _flow(attrs: Mapping[int, bytes]) -> ModuleFlow:
    return ModuleFlow(
        "tcp" if attrs[_PROTOCOL][0] == 6 else "udp",
        _u32(attrs[_IN]),
        _tuple(attrs, _ORIGINAL),
        _u32(attrs[_OUT]),
        _tuple(attrs, _TRANSLATED),
        _u32(attrs[_MARK]),
        not attrs[_ACTIVE][0],
        _u32(attrs[_IDLE]),
        _u64(attrs[_PACKETS]),
        _u64(attrs[_BYTES]),
    )


def _tuple(attrs: Mapping[int, bytes], kinds: tuple[int, int, int, int]) -> FlowTuple:
    source, destination, source_port, destination_port = (attrs[kind] for kind in kinds)
    return FlowTuple(
        ip_address(source),
        int.from_bytes(source_port, "big"),
        ip_address(destination),
        int.from_bytes(destination_port, "big"),
    )


def _u32(payload: bytes) -> int:
    return int(struct.unpack("=I", payload)[0])


def _u64(payload: bytes) -> int:
    return int(struct.unpack("=Q", payload)[0])
