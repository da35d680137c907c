"""Tells hosts on a wire who has an address now: a gratuitous ARP request, or an unsolicited neighbour advertisement.

A router keeps the hardware address that it learned for minutes to hours; these are what makes it forget the host that
had the address before. RFC 5227 (section 3), RFC 4861 (sections 4.4 and 7.2.6).
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

_ARP, _IPV6 = 0x0806, 0x86DD  # EtherTypes
_EVERYONE = b"\xff" * 6
_ALL_NODES = IPv6Address("ff02::1")
_TO_ALL_NODES = bytes.fromhex("333300000001")
_ADVERTISEMENT, _ICMPV6 = 136, 58
_ROUTER_OVERRIDE = 0xA000_0000


def announce(ifname: str, address: IPv4Address | IPv6Address) -> None:
    """Tell everyone on the wire of `ifname`, in the network namespace of the calling thread.

    Not told is not lost: whoever asks gets an answer. So nothing fails here where it cannot be sent, as without
    CAP_NET_RAW or while the link goes down.
    """
    with suppress(OSError), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((ifname, 0))
        mac = sock.getsockname()[4]
        if len(mac) == 6:
            sock.send(frame(mac, address))


def frame(mac: bytes, address: IPv4Address | IPv6Address) -> bytes:
    """The whole frame, from the host with this hardware address."""
    if isinstance(address, IPv4Address):
        ask = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)  # Ethernet, IPv4, request
        return _EVERYONE + mac + struct.pack("!H", _ARP) + ask + mac + address.packed + bytes(6) + address.packed
    option = struct.pack("!BB", 2, 1) + mac  # target link-layer address
    body = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _ROUTER_OVERRIDE) + address.packed + option
    pseudo = address.packed + _ALL_NODES.packed + struct.pack("!II", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
    head = struct.pack("!IHBB", 6 << 28, len(body), _ICMPV6, 255)
    return _TO_ALL_NODES + mac + struct.pack("!H", _IPV6) + head + address.packed + _ALL_NODES.packed + body


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF ^ total
