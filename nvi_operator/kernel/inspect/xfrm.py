"""How many IPsec policies there are. Source: include/uapi/linux/xfrm.h."""

from __future__ import annotations

import struct

from nvi_operator.errors import NviError
from nvi_operator.kernel.netlink.socket import Netlink
from nvi_operator.nft.wire.attributes import attributes

_XFRM = 6  # NETLINK_XFRM
_GET_INFO = 0x25  # XFRM_MSG_GETSPDINFO
_INFO = 1  # XFRMA_SPD_INFO, a struct xfrmu_spdinfo


def policies() -> tuple[int, int]:
    """The number of policies for what is sent, and for what is forwarded; 0 also where the kernel has no IPsec."""
    try:
        netlink = Netlink(_XFRM)
    except NviError:
        return 0, 0
    flags = bytes(4)
    with netlink:
        try:
            reply = next(netlink.ask(_GET_INFO, 0, flags))
        except OSError:
            return 0, 0
    info = dict(attributes(reply.body[len(flags) :]))[_INFO]
    _, out, forward, *_ = struct.unpack_from("=6I", info)  # in, out, fwd, and those of sockets
    return int(out), int(forward)
