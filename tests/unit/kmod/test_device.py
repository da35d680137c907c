"""Attributes of devices of kind nvi in netlink messages, of this version of the module and of the earlier one."""

from __future__ import annotations

import struct
import sys

import pytest

from nvi_operator.kernel.kmod.device import as_request, attributes_of, split_counters
from nvi_operator.nft.wire.attributes import attributes

VALUES = {"in_interface": 1, "stage_mask": 1 << 31, "ttl_compensation": 1, "require_stage": 1, "flow_cache": 1}
WIDTHS = {"0.1.0": (1, 4, 1, 1, 4), "0.3.0": (4, 4, 4, 4, 4)}


def attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(content), kind) + content + b"\xff" * (-len(content) % 4)


@pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS)
def test_attributes_are_read_by_their_length(widths: tuple[int, ...]) -> None:
    data = b"".join(
        attribute(number, value.to_bytes(width, sys.byteorder))
        for number, (value, width) in enumerate(zip(VALUES.values(), widths, strict=True), start=1)
    )
    assert attributes_of(dict(attributes(data))) == tuple(sorted(VALUES.items()))


def test_a_request_names_each_attribute_as_if_nvi_h_does() -> None:
    assert as_request(tuple(VALUES.items())) == {f"nvi_{name}": value for name, value in VALUES.items()}


def test_counters_of_the_flow_cache_have_the_names_of_the_ebpf_dataplanes() -> None:
    device, flows = split_counters({"reinjected": 5, "loop": 0, "flow_entries": 2, "flow_hit": 40, "flow_unknown": 3})
    assert device == {"reinjected": 5, "loop": 0}
    assert flows == {"entries": 2, "fast": 40, "unknown": 3}
