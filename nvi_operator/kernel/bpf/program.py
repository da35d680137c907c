"""The device's program (programs/device.bpf.c): its maps, and its options as constants of the object. Pure."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from nvi_operator.kernel.bpf.maps import HASH, PERCPU_ARRAY, MapInfo
from nvi_operator.kinds.tc_program import InInterface, ProgramOptions
from nvi_operator.pattern import pattern

OBJECT, NAME = "device", "nvi_device"
REASONS = ("reinjected", "no_stage_bit", "no_device", "loop", "other")

PORTS, COUNTERS = "nvi_ports", "nvi_counters"
PORTS_MAP = MapInfo(PORTS, HASH, 4, 8, 4096)  # ifindex -> MAC, and whether frames have one
COUNTERS_MAP = MapInfo(COUNTERS, PERCPU_ARRAY, 4, 8, len(REASONS))

# Up to version 0.1 the name said the options.
_NAME = pattern(r"nvi_device|nvi_[mi][h_][01][0-9a-f](?!0000)[0-9a-f]{4}")


def is_device(name: str) -> bool:
    """Is it the name of a device's program, of this version or an earlier one?"""
    return _NAME.fullmatch(name) is not None


def one_bit(stage_mask: int) -> int:
    """The mask. ValueError for a mask that is not one bit."""
    if stage_mask.bit_count() != 1 or stage_mask > 1 << 31:
        raise ValueError(f"stage mask {stage_mask:#x}: expected one bit of a mark's 32")
    return stage_mask


def constants(options: ProgramOptions) -> dict[str, int]:
    """ValueError for impossible options."""
    if not 0 < options.loop_tag <= 0xFFFF:
        raise ValueError(f"loop tag {options.loop_tag}: a packet's tc_index has 16 bits, and 0 is every fresh packet")
    return {
        "in_interface_in_mark": options.source == "mark",
        "stage_mask": one_bit(options.stage_mask),
        "loop_tag": options.loop_tag,
        "hide_hop": options.hide_hop,
        "flow_cache": options.flow_cache,
    }


def options_of(found: Mapping[str, int]) -> ProgramOptions:
    return ProgramOptions(
        "mark" if found["in_interface_in_mark"] else "skb_iif",
        found["stage_mask"],
        found["loop_tag"],
        bool(found["hide_hop"]),
        bool(found["flow_cache"]),
    )


def port_key(ifindex: int) -> bytes:
    return struct.pack("=I", ifindex)


def port_value(mac: str | None) -> bytes:
    """MAC, then 1 if frames have one."""
    return bytes(8) if mac is None else bytes.fromhex(mac.replace(":", "")) + b"\x01\x00"


def parse_port(key: bytes, value: bytes) -> InInterface:
    (ifindex,) = struct.unpack("=I", key)
    return InInterface(ifindex, value[:6].hex(":") if value[6] else None)
