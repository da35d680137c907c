"""nfnetlink messages about named counters: libnftables would list the whole table for them. Pure.

Source: include/uapi/linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import struct

from nvi_operator.nft.wire.attributes import attribute, attributes
from nvi_operator.nft.wire.messages import message

_REQUEST, _DUMP = 0x1, 0x300
_GET_OBJECT = 10 << 8 | 19
_TABLE, _NAME, _TYPE, _DATA = 1, 2, 3, 4  # NFTA_OBJ_*
_COUNTER = 1  # NFT_OBJECT_COUNTER
_PACKETS = 2  # NFTA_COUNTER_PACKETS


def get_counters(sequence: int, table: str) -> bytes:
    """The message that asks for the counters of `inet TABLE`. The kernel filters."""
    kind = attribute(_TYPE, struct.pack("!I", _COUNTER))
    return message(_GET_OBJECT, _REQUEST | _DUMP, sequence, attribute(_TABLE, table.encode() + b"\0") + kind)


def counter(body: bytes) -> tuple[str, int]:
    """Name and packets, from a message of NFT_MSG_GETOBJ, from its struct nfgenmsg on."""
    found = dict(attributes(body[4:]))
    packets = dict(attributes(found[_DATA]))[_PACKETS]
    return found[_NAME].rstrip(b"\0").decode(errors="replace"), int.from_bytes(packets, "big")
