"""Prefixes that dhcpcd got, by interface, as it keeps them: the server's last answer (RFC 8415, section 21.21)."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator
from ipaddress import IPv6Network
from pathlib import Path

PLACES = (Path("/var/lib/dhcpcd"), Path("/var/db/dhcpcd"))
_REPLY, _IA_PD, _IA_PREFIX = 7, 25, 26
_MOST = 1 << 16  # bytes: a message is a datagram


def leased_prefixes(ifnames: Iterable[str], places: Iterable[Path] = PLACES) -> dict[str, tuple[IPv6Network, ...]]:
    """The leases that have not run out. Files that cannot be read, or hold something else, tell nothing."""
    found: dict[str, tuple[IPv6Network, ...]] = {}
    directories = list(places)
    for ifname in ifnames:
        for directory in directories:
            file = directory / f"{ifname}.lease6"
            try:
                age = time.time() - file.stat().st_mtime
                with file.open("rb") as opened:
                    data = opened.read(_MOST)
            except OSError:
                continue
            if prefixes := tuple(prefix for prefix, valid in delegated_in(data) if valid > age):
                found[ifname] = prefixes
                break
    return found


def delegated_in(message: bytes) -> Iterator[tuple[IPv6Network, int]]:
    """Each prefix of a DHCPv6 answer, and for how many seconds from the answer on it is valid."""
    if message[:1] != bytes([_REPLY]):
        return
    for _, option in _options(message[4:], _IA_PD):
        for _, prefix in _options(option[12:], _IA_PREFIX):
            if len(prefix) >= 25:
                valid, length = struct.unpack_from("!4xIB", prefix)
                if length <= 128 and valid:
                    yield IPv6Network((prefix[9:25], length), strict=False), valid


def _options(data: bytes, kind: int) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        found, length = struct.unpack_from("!HH", data)
        if found == kind:
            yield found, data[4 : 4 + length]
        data = data[4 + length :]
