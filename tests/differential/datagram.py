"""IP packets as tuples: built for the wire and read from it. One header, one protocol, no options or fragments."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from tests.lab.packets import checksum

Address = IPv4Address | IPv6Address

ICMP, TCP, UDP, GRE, ICMP6 = 1, 6, 17, 47, 58
PROTOCOLS = {"icmp": ICMP, "tcp": TCP, "udp": UDP, "gre": GRE, "icmpv6": ICMP6, "esp": 50}
_WORDS = {number: word for word, number in PROTOCOLS.items()}
_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16}

# Linux: include/uapi/linux/icmp.h, icmpv6.h. Request and reply of an echo, and what is an error.
ECHO = {4: (8, 0), 6: (128, 129)}
_ERRORS = {4: (3, 4, 5, 11, 12), 6: (1, 2, 3, 4)}
PAYLOAD = b"packet.."
_SHORTEST = {ICMP: 8, ICMP6: 8, TCP: 20, UDP: 8, GRE: 4}  # header, in bytes


@dataclass(frozen=True)
class Datagram:
    """One IP packet. Ports are None for protocols without; an echo's identifier is its source port."""

    source: Address
    destination: Address
    protocol: int
    source_port: int | None = None
    destination_port: int | None = None
    icmp: tuple[int, int] | None = None  # type and code
    flags: frozenset[str] = frozenset()
    ttl: int = 64
    dscp: int = 0
    inner: Datagram | None = None  # what an ICMP error quotes
    size: int = 0  # bytes of the whole packet; 0: as few as it takes
    keep_whole: bool = False  # IPv4: do not fragment
    mtu: int = 0  # of an ICMP error that names one
    sequence: int = 0  # of TCP; 0: some number
    acknowledged: int = 0
    intact: bool = True  # are the checksums right? Of what was read

    @property
    def version(self) -> int:
        return self.source.version

    @property
    def is_error(self) -> bool:
        return self.icmp is not None and self.icmp[0] in _ERRORS[self.version]

    def __str__(self) -> str:
        def end(address: Address, port: int | None) -> str:
            return (
                f"{address}"
                if port is None
                else f"[{address}]:{port}"
                if address.version == 6
                else f"{address}:{port}"
            )

        words = [_WORDS.get(self.protocol, str(self.protocol))]
        words += [",".join(sorted(self.flags))] if self.flags else []
        words += [f"type {self.icmp[0]} code {self.icmp[1]}"] if self.icmp else []
        source, destination = end(self.source, self.source_port), end(self.destination, self.destination_port)
        words += [f"{source} > {destination}", f"ttl {self.ttl}"]
        words += [f"dscp {self.dscp}"] if self.dscp else []
        words += [f"{self.size} bytes"] if self.size else []
        words += [f"mtu {self.mtu}"] if self.mtu else []
        words += [f"about ({self.inner})"] if self.inner else []
        return " ".join(words) + ("" if self.intact else " WRONG CHECKSUM")


def build(packet: Datagram) -> bytes:
    """The packet from its IP header on."""
    head = 20 if packet.version == 4 else 40
    body = _body(packet)
    body += bytes(max(0, packet.size - head - len(body)))
    body = _summed(packet, body)
    addresses = packet.source.packed + packet.destination.packed
    traffic = packet.dscp << 2
    if packet.version == 6:
        return (
            struct.pack("!IHBB", 6 << 28 | traffic << 20, len(body), packet.protocol, packet.ttl) + addresses + body
        )
    fragment = 0x4000 if packet.keep_whole else 0
    ip = (
        struct.pack("!BBHHHBBH", 0x45, traffic, 20 + len(body), 1, fragment, packet.ttl, packet.protocol, 0)
        + addresses
    )
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + body


def _body(packet: Datagram) -> bytes:
    source, destination = packet.source_port or 0, packet.destination_port or 0
    if packet.protocol == UDP:
        return struct.pack("!HHHH", source, destination, 0, 0) + PAYLOAD
    if packet.protocol == TCP:
        flags = sum(_FLAGS[flag] for flag in packet.flags)
        first = packet.flags == {"syn"}
        sequence, acknowledged = packet.sequence or 1000 + (not first), packet.acknowledged or 1001 * (not first)
        return struct.pack("!HHIIBBHHH", source, destination, sequence, acknowledged, 5 << 4, flags, 65535, 0, 0)
    if packet.icmp and packet.inner:
        quoted = build(packet.inner)
        rest = struct.pack("!HH", 0, packet.mtu) if packet.version == 4 else struct.pack("!I", packet.mtu)
        return struct.pack("!BBH", *packet.icmp, 0) + rest + quoted
    if packet.icmp:
        return struct.pack("!BBHHH", *packet.icmp, 0, source, 1) + PAYLOAD
    if packet.protocol == GRE:
        return struct.pack("!HH", 0, 0x0800) + PAYLOAD
    return struct.pack("!II", 77, 1) + PAYLOAD  # what ESP begins with: an index and a number


def _summed(packet: Datagram, body: bytes) -> bytes:
    at = {UDP: 6, TCP: 16, ICMP: 2, ICMP6: 2}.get(packet.protocol)
    if packet.protocol == UDP:
        body = body[:4] + struct.pack("!H", len(body)) + body[6:]
    if at is None:
        return body
    total = checksum(_pseudo(packet, len(body)) + body[:at] + b"\0\0" + body[at + 2 :])
    return body[:at] + struct.pack("!H", total or 0xFFFF) + body[at + 2 :]


def _pseudo(packet: Datagram, length: int) -> bytes:
    if packet.protocol == ICMP:
        return b""
    return packet.source.packed + packet.destination.packed + struct.pack("!IHBB", length, 0, 0, packet.protocol)


def parse(data: bytes, *, quoted: bool = False) -> Datagram | None:
    """Of the bytes of an IP packet; None for what this cannot express, such as a later fragment.

    What is quoted in an error may be cut, and its checksums are not looked at.
    """
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        _, traffic, length, _, fragment, ttl, protocol, _ = struct.unpack("!BBHHHBBH", data[:12])
        head, source, destination = (data[0] & 15) * 4, data[12:16], data[16:20]
        if fragment & 0x1FFF:
            return None
    elif version == 6 and len(data) >= 40:
        first, length, protocol, ttl = struct.unpack("!IHBB", data[:8])
        traffic, head, length, fragment = first >> 20 & 255, 40, length + 40, 0
        source, destination = data[8:24], data[24:40]
    else:
        return None
    body = data[head:length]
    if len(body) < _SHORTEST.get(protocol, 0):
        return None
    plain = Datagram(
        ip_address(source),
        ip_address(destination),
        protocol,
        ttl=ttl,
        dscp=traffic >> 2,
        size=length,
        keep_whole=bool(fragment & 0x4000),
    )
    return _with_body(plain, body, quoted)


def _with_body(plain: Datagram, body: bytes, quoted: bool) -> Datagram:
    fields = dict(vars(plain))
    protocol, version = plain.protocol, plain.version
    fields["intact"] = (
        quoted or protocol not in (UDP, TCP, ICMP, ICMP6) or not checksum(_pseudo(plain, len(body)) + body)
    )
    if protocol in (UDP, TCP):
        fields["source_port"], fields["destination_port"] = struct.unpack("!HH", body[:4])
    if protocol == TCP:
        fields["flags"] = frozenset(flag for flag, bit in _FLAGS.items() if body[13] & bit)
        fields["sequence"], fields["acknowledged"] = struct.unpack("!II", body[4:12])
    if (protocol, version) in ((ICMP, 4), (ICMP6, 6)):
        fields["icmp"] = (body[0], body[1])
        if body[0] in ECHO[version]:
            fields["source_port"] = int.from_bytes(body[4:6], "big")
        elif body[0] in _ERRORS[version] and not quoted:
            fields["inner"] = parse(body[8:], quoted=True)
            has_mtu = body[0:2] == b"\x03\x04" if version == 4 else body[0] == 2
            fields["mtu"] = int.from_bytes(body[6:8] if version == 4 else body[4:8], "big") if has_mtu else 0
    return Datagram(**fields)


def family_of(packet: Datagram) -> socket.AddressFamily:
    return socket.AF_INET6 if packet.version == 6 else socket.AF_INET
