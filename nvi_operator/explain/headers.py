"""A packet read from the bytes of its headers. Sources: RFC 791, 792, 4443, 8200, 9293."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from nvi_operator.dataclass import replace
from nvi_operator.explain.packet import ECHO_REPLY, ECHO_REQUEST, ICMP, ICMPV6, TCP, WITH_PORTS, Packet

FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32}


def packet_in(data: bytes, in_interface: str | None = None, mark: int = 0) -> Packet | None:
    """None for what is no IP packet, and for a cut header. IPv6 extension headers are not looked behind."""
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        dscp, protocol, ttl, at = data[1] >> 2, data[9], data[8], (data[0] & 15) * 4
        source, destination = (IPv4Address(data[start : start + 4]) for start in (12, 16))
        made = Packet(in_interface, protocol, source, destination, dscp=dscp, ttl=ttl, mark=mark)
    elif version == 6 and len(data) >= 40:
        dscp, protocol, ttl, at = struct.unpack_from("!I", data)[0] >> 22 & 63, data[6], data[7], 40
        ends = IPv6Address(data[8:24]), IPv6Address(data[24:40])
        made = Packet(in_interface, protocol, *ends, dscp=dscp, ttl=ttl, mark=mark)
    else:
        return None
    return _with_transport(made, data[at:])


def _with_transport(packet: Packet, text: bytes) -> Packet:
    if packet.protocol in WITH_PORTS and len(text) >= 4:
        source_port, destination_port = struct.unpack_from("!HH", text)
        packet = replace(packet, source_port=source_port, destination_port=destination_port)
        if packet.protocol == TCP and len(text) >= 14:
            packet = replace(packet, tcp_flags=frozenset(name for name, bit in FLAGS.items() if text[13] & bit))
    elif packet.protocol in (ICMP, ICMPV6) and len(text) >= 8:
        echo = text[0] in (ECHO_REQUEST[packet.family], ECHO_REPLY[packet.family])
        identifier = struct.unpack_from("!H", text, 4)[0] if echo else None
        packet = replace(packet, icmp_type=text[0], icmp_code=text[1], source_port=identifier)
    return packet
