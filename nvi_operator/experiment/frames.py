"""Packets as bytes, and bytes as packets; what neighbours ask, and what they are told.

Sources: RFC 791, 768, 792, 826, 2784, 4443, 4861, 8200, 9293.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.headers import FLAGS, packet_in
from nvi_operator.explain.packet import (
    ECHO_REPLY,
    ECHO_REQUEST,
    GRE,
    ICMP,
    ICMP_OF,
    ICMPV6,
    SCTP,
    TCP,
    UDP,
    UDPLITE,
    Packet,
)
from nvi_operator.language.model.values import Address

ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
MAGIC = b"nvi-probe:"
_ERRORS = {ICMP: (3, 4, 5, 11, 12), ICMPV6: (1, 2, 3, 4)}
_NEIGHBOUR_SOLICITATION, _NEIGHBOUR_ADVERTISEMENT = 135, 136
_ETHERNET, _HEADER_6, _HEADER_OF_ERROR = 14, 40, 8  # bytes
_LEAST_MTU = 1280  # of IPv6
_ANSWER_FLAGS = frozenset({"syn", "ack"})  # of SCTP they stand for INIT ACK


@dataclass(frozen=True)
class ParsedFrame:
    """A packet that arrived, and the number of the probe that it belongs to, where it says one.

    `quoted`: of an ICMP error, the packet that it is about.
    """

    packet: Packet
    number: int | None
    quoted: Packet | None = None

    @property
    def error(self) -> bool:
        return self.quoted is not None


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


# --------------------------------------------------------------------------- packets


def probe_bytes(packet: Packet, number: int) -> bytes:
    """The packet, with the number of its probe as its payload."""
    return ip_bytes(packet, payload(number))


def payload(number: int) -> bytes:
    return MAGIC + struct.pack("!I", number)


def number_in(data: bytes) -> int | None:
    """The number of the probe; None where it is none."""
    at = data.find(MAGIC)
    return struct.unpack_from("!I", data, at + len(MAGIC))[0] if 0 <= at <= len(data) - len(MAGIC) - 4 else None


def ip_bytes(packet: Packet, payload: bytes) -> bytes:
    """Of protocols whose header is not known here the payload is all there is behind the IP header."""
    return with_header(packet, _transport(packet, payload))


def _transport(packet: Packet, payload: bytes) -> bytes:
    ports = struct.pack("!HH", packet.source_port or 0, packet.destination_port or 0)
    protocol = packet.protocol
    if protocol == TCP:
        flags = sum(FLAGS[flag] for flag in packet.tcp_flags)
        acknowledged = 2 if "ack" in packet.tcp_flags else 0  # the SYN had number 1 and its payload: enough to be new
        if acknowledged:
            acknowledged += len(payload)
        text = ports + struct.pack("!IIBBHHH", 1, acknowledged, 5 << 4, flags, 65535, 0, 0) + payload
        return with_checksum(packet, text, 16)
    if protocol == UDP:
        return with_checksum(packet, ports + struct.pack("!HH", 8 + len(payload), 0) + payload, 6)
    if protocol == SCTP:
        return _sctp(packet, ports, payload)
    if protocol == UDPLITE:  # a coverage of 0: all of it (RFC 3828)
        return with_checksum(packet, ports + bytes(4) + payload, 6)
    if protocol in (ICMP, ICMPV6):
        text = struct.pack("!BBHHH", packet.icmp_type, packet.icmp_code, 0, packet.source_port or 0, 1) + payload
        return with_checksum(packet, text, 2, pseudo=protocol == ICMPV6)
    if protocol == GRE:
        return struct.pack("!HH", 0, IPV4) + payload
    return payload


def _sctp(packet: Packet, ports: bytes, payload: bytes) -> bytes:
    """INIT, or INIT ACK for an answer, with an unknown parameter that receivers skip (RFC 9260, 3.3.2 and 3.3.3)."""
    answers = packet.tcp_flags == _ANSWER_FLAGS
    parameter = struct.pack("!HH", 0x8008, 4 + len(payload)) + payload + bytes(-len(payload) % 4)
    fixed = struct.pack("!IIHHI", 1, 65535, 1, 1, 1)
    chunk = struct.pack("!BBH", 2 if answers else 1, 0, 4 + len(fixed) + len(parameter)) + fixed + parameter
    head = ports + struct.pack("!I", 1 if answers else 0)
    return head + struct.pack("<I", _crc32c(head + bytes(4) + chunk)) + chunk


def _crc32c(data: bytes) -> int:
    """RFC 9260, appendix A."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def with_checksum(packet: Packet, text: bytes, at: int, *, pseudo: bool = True) -> bytes:
    covered = _pseudo_header(packet, len(text)) + text if pseudo else text
    return text[:at] + struct.pack("!H", checksum(covered) or 0xFFFF) + text[at + 2 :]


def _pseudo_header(packet: Packet, length: int) -> bytes:
    return packet.source.packed + packet.destination.packed + struct.pack("!IHBB", length, 0, 0, packet.protocol)


def with_header(packet: Packet, text: bytes) -> bytes:
    addresses = packet.source.packed + packet.destination.packed
    if packet.family == 6:
        version = 6 << 28 | packet.dscp << 22
        return struct.pack("!IHBB", version, len(text), packet.protocol, packet.ttl) + addresses + text
    flags = 0x4000 if packet.dont_fragment else 0
    first = struct.pack("!BBHHHBB", 0x45, packet.dscp << 2, 20 + len(text), 1, flags, packet.ttl, packet.protocol)
    return first + struct.pack("!H", checksum(first + b"\0\0" + addresses)) + addresses + text


def parse(data: bytes) -> ParsedFrame | None:
    """None for what is no IP packet."""
    packet = packet_in(data)
    if packet is None:
        return None
    header = (data[0] & 15) * 4 if packet.family == 4 else _HEADER_6
    is_error = packet.icmp_type in _ERRORS.get(packet.protocol, ())
    return ParsedFrame(packet, number_in(data), packet_in(data[header + _HEADER_OF_ERROR :]) if is_error else None)


def answer(packet: Packet) -> Packet:
    """What the other end sends back for a packet that reached it."""
    back = replace(
        packet,
        source=packet.destination,
        destination=packet.source,
        source_port=packet.destination_port,
        destination_port=packet.source_port,
        ttl=64,
    )
    if packet.protocol in (TCP, SCTP):
        return replace(back, tcp_flags=_ANSWER_FLAGS)
    if packet.icmp_type == ECHO_REQUEST[packet.family]:
        return replace(
            back, icmp_type=ECHO_REPLY[packet.family], source_port=packet.source_port, destination_port=None
        )
    return back


def too_big(about: Packet, number: int, by: Address) -> bytes:
    """What a router says of a packet that is too large for its next link (RFC 1191, RFC 4443)."""
    type_, code = (3, 4) if about.family == 4 else (2, 0)
    packet = Packet(None, ICMP_OF[about.family], by, about.source, icmp_type=type_, icmp_code=code)
    text = struct.pack("!BBHI", type_, code, 0, _LEAST_MTU) + probe_bytes(about, number)
    return with_header(packet, with_checksum(packet, text, 2, pseudo=about.family == 6))


# --------------------------------------------------------------------------- neighbours


@dataclass(frozen=True)
class NeighbourRequest:
    """Which hardware address has `target`? Asked by ARP or neighbour discovery."""

    target: Address
    asker: Address
    asker_mac: bytes


def question(frame: bytes) -> NeighbourRequest | None:
    """None for any other frame, and for one by which an address is only looked for or announced."""
    kind, data = struct.unpack_from("!H", frame, 12)[0], frame[_ETHERNET:]
    if kind == ARP and len(data) >= 28 and struct.unpack_from("!HHBBH", data) == (1, IPV4, 6, 4, 1):
        asker, target = IPv4Address(data[14:18]), IPv4Address(data[24:28])
        return NeighbourRequest(target, asker, data[8:14]) if int(asker) and asker != target else None
    if kind == IPV6 and len(data) >= 64 and data[6] == ICMPV6 and data[40] == _NEIGHBOUR_SOLICITATION:
        source = IPv6Address(data[8:24])
        return None if source.is_unspecified else NeighbourRequest(IPv6Address(data[48:64]), source, frame[6:12])
    return None


def neighbour(asked: NeighbourRequest, mac: bytes) -> bytes:
    """The frame that answers: it is `mac`."""
    if asked.target.version == 4:
        body = struct.pack("!HHBBH", 1, IPV4, 6, 4, 2) + mac + asked.target.packed + asked.asker_mac
        return ethernet(asked.asker_mac, mac, ARP, body + asked.asker.packed)
    solicited_override = 0x60000000
    text = struct.pack("!BBHI", _NEIGHBOUR_ADVERTISEMENT, 0, 0, solicited_override) + asked.target.packed
    text += bytes((2, 1)) + mac
    packet = Packet(None, ICMPV6, asked.target, asked.asker, ttl=255)
    return ethernet(asked.asker_mac, mac, IPV6, with_header(packet, with_checksum(packet, text, 2)))


def ethernet(to: bytes, source: bytes, kind: int, data: bytes) -> bytes:
    return to + source + struct.pack("!H", kind) + data


def ip_of(frame: bytes) -> bytes | None:
    """The IP packet in a frame."""
    return frame[_ETHERNET:] if struct.unpack_from("!H", frame, 12)[0] in (IPV4, IPV6) else None


def frame_of(packet: bytes, to: bytes, source: bytes) -> bytes:
    return ethernet(to, source, IPV6 if packet[0] >> 4 == 6 else IPV4, packet)


def mac_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
