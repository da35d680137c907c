"""What was on the wires, as a file that Wireshark and tcpdump read: pcapng, with the interfaces by name.

Source: draft-ietf-opsawg-pcapng, sections 4.1 to 4.3.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from typing import IO

from nvi_operator.kernel.errors import kernel_errors

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1  # LINKTYPE_ETHERNET
_NAME = 2  # if_name


class Capture:
    """`file` is open for bytes; it is complete after each frame. Raises KernelError, where the disk is full."""

    def __init__(self, file: IO[bytes], ifnames: Sequence[str]) -> None:
        self._file = file
        self._numbers = {ifname: number for number, ifname in enumerate(ifnames)}
        self._block(_SECTION, struct.pack("=IHHq", _BYTE_ORDER, 1, 0, -1))
        for ifname in ifnames:
            name = ifname.encode()
            option = struct.pack("=HH", _NAME, len(name)) + _padded(name) + bytes(4)
            self._block(_INTERFACE, struct.pack("=HHI", _ETHERNET, 0, 0) + option)

    def add(self, ifname: str, frame: bytes) -> None:
        now = time.time_ns() // 1000
        head = struct.pack("=IIIII", self._numbers[ifname], now >> 32, now & 0xFFFFFFFF, len(frame), len(frame))
        self._block(_PACKET, head + _padded(frame))

    def _block(self, kind: int, body: bytes) -> None:
        length = struct.pack("=I", 12 + len(body))
        with kernel_errors(f"{self._file.name}: writing"):
            self._file.write(struct.pack("=I", kind) + length + body + length)
            self._file.flush()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
