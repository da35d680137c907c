"""What a host says to a health probe, where it has every service: bytes for bytes. Pure.

Sources: RFC 792, 1035, 1945, 4443, 9293.
"""

from __future__ import annotations

import struct

from nvi_operator.experiment import frames
from nvi_operator.explain.headers import FLAGS, packet_in
from nvi_operator.explain.packet import ECHO_REPLY, ECHO_REQUEST, TCP, UDP, Packet

DNS_PORT = 53
_NOERROR = 0x8180  # a response, recursion desired and available
_FIRST = 1000  # the number of the SYN
_PAGE = b"HTTP/1.0 204 No Content\r\n\r\n"


def response(question: bytes) -> bytes | None:
    """An IP packet for an IP packet; None where a host says nothing, or no health probe asks so."""
    packet = packet_in(question)
    if packet is None:
        return None
    text = question[40:] if packet.family == 6 else question[(question[0] & 15) * 4 :]
    back = frames.answer(packet)
    if packet.icmp_type == ECHO_REQUEST[packet.family]:
        echo = struct.pack("!BBH", ECHO_REPLY[packet.family], 0, 0) + text[4:]
        return frames.with_header(back, frames.with_checksum(back, echo, 2, pseudo=packet.family == 6))
    if packet.protocol == UDP and packet.destination_port == DNS_PORT:
        asked = text[8:]
        return frames.ip_bytes(back, asked[:2] + struct.pack("!H", _NOERROR) + asked[4:])
    return _segment(packet, back, text) if packet.protocol == TCP else None


def _segment(packet: Packet, back: Packet, text: bytes) -> bytes | None:
    """A connection is accepted, and what is sent over it is answered with a page."""
    number, acknowledged = struct.unpack_from("!II", text, 4)
    request = text[(text[12] >> 4) * 4 :]
    if packet.tcp_flags == {"syn"}:
        flags, page, number, acknowledged = FLAGS["syn"] | FLAGS["ack"], b"", number + 1, _FIRST
    elif request:
        flags, page, number = FLAGS["psh"] | FLAGS["ack"], _PAGE, number + len(request)
    else:
        return None
    ports = struct.pack("!HH", back.source_port or 0, back.destination_port or 0)
    head = struct.pack("!IIBBHHH", acknowledged, number & 0xFFFFFFFF, 5 << 4, flags, 65535, 0, 0)
    return frames.with_header(back, frames.with_checksum(back, ports + head + page, 16))
