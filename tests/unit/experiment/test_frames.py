"""Packets become bytes, and bytes packets."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from nvi_operator.experiment import frames
from nvi_operator.explain.packet import GRE, ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE, Packet

A4, B4 = ip_address("192.0.2.1"), ip_address("198.51.100.2")
A6, B6 = ip_address("2001:db8::1"), ip_address("2001:db8:1::2")
PACKETS = [
    Packet(None, TCP, A4, B4, 40000, 443),
    Packet(None, TCP, A6, B6, 40000, 443, dscp=46),
    Packet(None, UDP, A4, B4, 500, 4500, dscp=10, ttl=3),
    Packet(None, UDPLITE, A6, B6, 1, 65535),
    Packet(None, SCTP, A4, B4, 40000, 3868),
    Packet(None, ICMP, A4, B4, 77, icmp_type=8),
    Packet(None, ICMPV6, A6, B6, 77, icmp_type=128),
    Packet(None, GRE, A4, B4),
    Packet(None, 50, A6, B6),
]


@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: f"{packet.protocol}-{packet.family}")
def test_a_packet_that_is_written_is_read(packet: Packet) -> None:
    seen = frames.parse(frames.probe_bytes(packet, 12345))
    assert seen is not None
    assert seen.number == 12345
    flags = seen.packet.tcp_flags if packet.protocol == TCP else packet.tcp_flags
    assert (seen.packet, flags) == (packet, packet.tcp_flags)


@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: f"{packet.protocol}-{packet.family}")
def test_an_answer_comes_from_where_the_packet_went(packet: Packet) -> None:
    answer = frames.answer(packet)
    assert (answer.source, answer.destination) == (packet.destination, packet.source)
    ports = (packet.source_port, packet.destination_port)
    back = (answer.destination_port, answer.source_port)
    assert back == ports if packet.icmp_type is None else answer.source_port == packet.source_port


def test_the_error_about_a_packet_has_its_number() -> None:
    about = frames.probe_bytes(PACKETS[0], 7)
    error = frames.ip_bytes(Packet(None, ICMP, B4, A4, icmp_type=3, icmp_code=1), about)
    seen = frames.parse(error)
    assert seen is not None
    assert (seen.number, seen.error) == (7, True)


def test_a_checksum_is_the_one_of_rfc_1071() -> None:
    assert frames.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


def test_neighbours_are_told_and_announcements_are_no_questions() -> None:
    mac, own = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"
    body = bytes.fromhex("0001080006040001") + own + A4.packed + bytes(6) + B4.packed
    asked = frames.question(frames.ethernet(b"\xff" * 6, own, frames.ARP, body))
    assert asked == frames.NeighbourRequest(B4, A4, own)
    told = frames.neighbour(asked, mac)
    assert (told[:6], told[22:28], told[28:32]) == (own, mac, B4.packed)
    announced = body[:24] + A4.packed
    assert frames.question(frames.ethernet(b"\xff" * 6, own, frames.ARP, announced)) is None
