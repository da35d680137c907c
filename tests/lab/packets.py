"""Packets made by hand, for what no socket would send."""

from __future__ import annotations

from ipaddress import ip_address

from nvi_operator.experiment.frames import checksum, ip_bytes
from nvi_operator.explain.packet import ECHO_REPLY, ICMP_OF, UDP, Packet

__all__ = ["checksum", "error", "stray", "udp"]


def udp(
    source: str,
    destination: str,
    port: int,
    *,
    payload: bytes = b"spoofed\n",
    ttl: int = 64,
    source_port: int = 4444,
    dscp: int = 0,
) -> bytes:
    """A UDP datagram, with its IP header."""
    ends = ip_address(source), ip_address(destination)
    return ip_bytes(Packet(None, UDP, *ends, source_port, port, ttl=ttl, dscp=dscp, dont_fragment=False), payload)


def stray(source: str, destination: str) -> bytes:
    """An unsolicited echo reply: conntrack calls it INVALID, and NAT never touches it."""
    ends = ip_address(source), ip_address(destination)
    family = ends[0].version
    reply = Packet(None, ICMP_OF[family], *ends, 77, icmp_type=ECHO_REPLY[family], dont_fragment=False)
    return ip_bytes(reply, b"stray...")


def error(source: str, destination: str) -> bytes:
    """An ICMP `unreachable` about a datagram that `destination` never sent."""
    ends = ip_address(source), ip_address(destination)
    family = ends[0].version
    unreachable = Packet(None, ICMP_OF[family], *ends, icmp_type={4: 3, 6: 1}[family], dont_fragment=False)
    return ip_bytes(unreachable, udp(destination, source, 443))
