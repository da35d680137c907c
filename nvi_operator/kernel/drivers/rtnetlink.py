"""What drivers have in common whose objects rtnetlink lists with the protocol number of their owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.handles import Handles
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink


class RtnetlinkDriver(Driver):
    def __init__(self, rtnetlink: Rtnetlink, protocol: int) -> None:
        self._rtnetlink = rtnetlink
        self._protocol = protocol

    @classmethod
    def create(cls, handles: Handles, drivers: Mapping[str, Driver]) -> Self:
        return cls(handles.rtnetlink, handles.numbers.protocol)
