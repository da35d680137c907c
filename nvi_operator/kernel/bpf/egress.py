"""The guard of an interface's egress (programs/egress_guard.bpf.c): its map of prefixes. Pure."""

from __future__ import annotations

import struct
import sys
from collections.abc import Collection
from ipaddress import ip_address, ip_network

from nvi_operator.kernel.bpf.guard import GuardProgram
from nvi_operator.kernel.bpf.maps import LPM_TRIE, NO_PREALLOC, MapInfo
from nvi_operator.kinds.egress_guard import GuardEntry, PrefixRole
from nvi_operator.language.model.values import FAMILIES, Network, within
from nvi_operator.topology.prefixes import ANY

REASONS = ("egress_untranslated", "egress_foreign", "egress_wrong_uplink", "egress_reset")

PREFIXES = "nvi_prefixes"
_OWN_NETWORKS = 8
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
    return GuardEntry("source" if side == "source" else "destination", network, PrefixRole(standing), lines)


def constants(entries: Collection[GuardEntry]) -> dict[str, int]:
    """Of which sources the program need not ask the map. The widest of the uplink's own networks are among them."""
    sources = [(ip_network(entry.network), entry) for entry in entries if entry.side == "source"]
    own = sorted((network for network, entry in sources if entry.standing & PrefixRole.OWN), key=_hosts, reverse=True)
    plain = [each for each in own[:_OWN_NETWORKS] if not any(n != each and within(n, each) for n, _ in sources)]
    found = {"own": int.from_bytes(b"".join(map(_as_network, plain)), sys.byteorder), "own_networks": len(plain)}
    for family in FAMILIES:
        others = [e for n, e in sources if n.version == family and not e.standing & PrefixRole.OWN]
        is_free = [(e.network, e.standing) for e in others] == [(ANY[family], PrefixRole.FREE)]
        known = {network for network in own if network.version == family} <= set(plain)
        found[f"rest_is_free{family}"] = is_free and known
    return found


def _hosts(network: Network) -> int:
    return network.num_addresses


def _as_network(network: Network) -> bytes:
    """struct network: address and mask, of an IPv4 network those of ::ffff:a.b.c.d."""
    words = (network.network_address.packed, network.netmask.packed)
    if network.version == 4:
        words = (bytes(10) + b"\xff\xff" + words[0], b"\xff" * 12 + words[1])
    return b"".join(words)


EGRESS = GuardProgram("egress", REASONS, lambda count: PREFIXES_MAP, as_element, parse_element, constants)
