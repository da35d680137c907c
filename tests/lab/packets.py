"""Packets made by hand, for what no socket would send."""

from __future__ import annotations

import socket
import struct


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


def udp(source: str, destination: str, port: int, *, payload: bytes = b"spoofed\n", ttl: int = 64) -> bytes:
    """A UDP datagram from `source` port 4444, with its IP header."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    length = 8 + len(payload)
    header = struct.pack("!HHHH", 4444, port, length, 0)
    pseudo = addresses + struct.pack("!IHBB", length, 0, 0, 17)
    header = struct.pack("!HHHH", 4444, port, length, checksum(pseudo + header + payload) or 0xFFFF)
    if family == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, length, 17, ttl) + addresses + header + payload
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 1, 0, ttl, 17, 0) + addresses
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + header + payload


def stray(source: str, destination: str) -> bytes:
    """An unsolicited echo reply: conntrack calls it INVALID, and NAT never touches it."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    body = struct.pack("!BBHHH", 129 if family == socket.AF_INET6 else 0, 0, 0, 77, 1) + b"stray..."
    pseudo = addresses + struct.pack("!IHBB", len(body), 0, 0, 58) if family == socket.AF_INET6 else b""
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    if family == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, len(body), 58, 64) + addresses + body
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, 1, 0) + addresses
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + body
