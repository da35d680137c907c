"""Messages of the module's generic netlink family."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from nvi_operator.kernel.bpf.flow_cache import Traffic
from nvi_operator.kernel.kmod.flow_cache import ModuleFlow, ModuleFlowCache
from nvi_operator.kernel.netlink.socket import DONE, ERROR, Reply
from nvi_operator.nft.wire.attributes import attribute
from nvi_operator.state.flow import FlowTuple

FAMILY = 0x1C
STAGE = 0x80000000
CLIENT, WAN, SERVER = (ip_address(text) for text in ("10.1.0.2", "203.0.113.1", "203.0.113.10"))


class Kernel(ModuleFlowCache):
    """Answers the lookup of the family, and then with `answers`."""

    def __init__(self, *answers: bytes, error: int = 0) -> None:
        super().__init__(7)
        self.close()
        self.answers, self.error, self.sent = answers, error, list[bytes]()

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def replies(self, *, wait: bool = True) -> Iterator[Reply]:
        _, kind, _, sequence, _ = struct.unpack_from("=IHHII", self.sent[-1])
        if kind == 16:  # GENL_ID_CTRL
            yield Reply(kind, 0, sequence, bytes(4) + attribute(1, struct.pack("=H", FAMILY)))
            yield Reply(ERROR, 0, sequence, bytes(4))
            return
        for answer in self.answers:
            yield Reply(kind, 2, sequence, bytes(4) + answer)
        yield Reply(ERROR if self.error else DONE, 0, sequence, struct.pack("=i", -self.error))


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def u64(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=Q", value))


def ports(first: int, *values: int) -> bytes:
    return b"".join(attribute(first + n, struct.pack("!H", value)) for n, value in enumerate(values))


def test_a_flow_is_read() -> None:
    addresses = [attribute(kind, each.packed) for kind, each in ((7, CLIENT), (8, SERVER), (11, WAN), (12, SERVER))]
    told = (
        u32(4, 2) + u32(5, 3) + attribute(6, b"\x11") + b"".join(addresses) + ports(9, 4000, 53) + ports(13, 4001, 53)
        + u32(15, STAGE) + u64(16, 12) + u64(17, 3400) + attribute(18, b"\1") + u32(19, 250)
    )  # fmt: skip
    learning = u32(4, 2) + attribute(6, b"\x06")
    flows = list(Kernel(told, learning).flows())
    assert flows == [
        ModuleFlow(
            "udp",
            2,
            FlowTuple(CLIENT, 4000, SERVER, 53),
            3,
            FlowTuple(WAN, 4001, SERVER, 53),
            0x80000000,
            False,
            250,
            12,
            3400,
        )
    ]


def test_traffic_is_told_by_interfaces() -> None:
    there, back = (u32(4, a) + u32(5, b) + u64(16, a) + u64(17, b) for a, b in ((2, 3), (3, 2)))
    assert Kernel(there, back).traffic() == {(2, 3): Traffic(2, 3), (3, 2): Traffic(3, 2)}


@pytest.mark.parametrize(("ifindex", "attrs"), [(None, u32(2, 7)), (3, u32(2, 7) + u32(3, 3))])
def test_an_invalidation_names_the_device_and_may_name_an_interface(ifindex: int | None, attrs: bytes) -> None:
    kernel = Kernel()
    kernel.invalidate(ifindex)
    assert kernel.sent[-1][4:6] == struct.pack("=H", FAMILY)
    assert kernel.sent[-1][16:] == b"\3\1\0\0" + attrs


def test_a_device_that_is_down_is_an_error() -> None:
    cache = Kernel(error=errno.ENOENT)
    with pytest.raises(FileNotFoundError):
        cache.invalidate()
