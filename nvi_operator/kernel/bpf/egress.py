"""The guard of an interface's egress (programs/egress_guard.bpf.c): its map of prefixes. Pure."""

from __future__ import annotations

import struct
from ipaddress import ip_address, ip_network

from nvi_operator.kernel.bpf.guard import GuardProgram
from nvi_operator.kernel.bpf.maps import LPM_TRIE, NO_PREALLOC, MapInfo
from nvi_operator.kinds.egress_guard import GuardEntry, Standing

REASONS = ("egress_untranslated", "egress_foreign", "egress_wrong_uplink", "egress_reset")

PREFIXES = "nvi_prefixes"
# struct bpf_lpm_trie_key: the length in bits, then what is matched: side and family in a byte, and an address. The
# last three bytes are there because the value follows them, and is read in words of 4 bytes.
_ELEMENT = struct.Struct("=IB16s3x")
PREFIXES_MAP = MapInfo(PREFIXES, LPM_TRIE, _ELEMENT.size, 8, 1 << 17, NO_PREALLOC)  # -> standing, lines

_SIDES = {("source", 4): 0, ("source", 6): 1, ("destination", 4): 2, ("destination", 6): 3}


def as_element(entry: GuardEntry) -> tuple[bytes, bytes]:
    """Key and value of the map."""
    network = ip_network(entry.network)
    side = _SIDES[entry.side, network.version]
    key = _ELEMENT.pack(8 + network.prefixlen, side, network.network_address.packed)
    return key, struct.pack("=II", entry.standing, entry.rules)


def parse_element(key: bytes, value: bytes) -> GuardEntry:
    bits, number, address = _ELEMENT.unpack(key)
    side, family = next(pair for pair, each in _SIDES.items() if each == number)
    standing, lines = struct.unpack("=II", value)
    packed = address if family == 6 else address[:4]
    network = f"{ip_address(packed)}/{bits - 8}"
    return GuardEntry("source" if side == "source" else "destination", network, Standing(standing), lines)


EGRESS = GuardProgram("egress", REASONS, lambda count: PREFIXES_MAP, as_element, parse_element)
