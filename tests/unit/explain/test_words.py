"""A packet as a person writes it: what is understood, and one clear error for what is not."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from nvi_operator.explain.packet import Packet
from nvi_operator.explain.words import PacketError, packet_words, parse_packet


@pytest.mark.parametrize(
    ("words", "packet"),
    [
        (
            "tcp 10.0.0.5:40000 to 203.0.113.9:443",
            Packet("lan0", 6, ip_address("10.0.0.5"), ip_address("203.0.113.9"), 40000, 443),
        ),
        (
            "tcp 10.0.0.5 -> 203.0.113.9:443",
            Packet("lan0", 6, ip_address("10.0.0.5"), ip_address("203.0.113.9"), 40000, 443),
        ),
        (
            "UDP [fd00:1::5]:4 → [2001:db8::1]:53",
            Packet("lan0", 17, ip_address("fd00:1::5"), ip_address("2001:db8::1"), 4, 53),
        ),
        (
            "icmp 10.0.0.5 to 192.0.2.80",
            Packet("lan0", 1, ip_address("10.0.0.5"), ip_address("192.0.2.80"), 1, icmp_type=8),
        ),
        (
            "icmp fd00::5 to 2001:db8::9 type echo-reply id 7",
            Packet("lan0", 58, ip_address("fd00::5"), ip_address("2001:db8::9"), 7, icmp_type=129),
        ),
        ("gre 10.0.0.5 to 192.0.2.1", Packet("lan0", 47, ip_address("10.0.0.5"), ip_address("192.0.2.1"))),
        ("41 10.0.0.5 to 192.0.2.1", Packet("lan0", 41, ip_address("10.0.0.5"), ip_address("192.0.2.1"))),
        (
            "tcp 10.0.0.5:1 to 192.0.2.1:2 flags syn,ack dscp ef mark 0x10 ttl=3 length 1500 df no bound wan0",
            Packet(
                "lan0",
                6,
                ip_address("10.0.0.5"),
                ip_address("192.0.2.1"),
                1,
                2,
                tcp_flags=frozenset({"syn", "ack"}),
                dscp=46,
                mark=16,
                ttl=3,
                length=1500,
                dont_fragment=False,
                bound_interface="wan0",
            ),
        ),
    ],
)
def test_words_are_a_packet_and_a_packet_is_words(words: str, packet: Packet) -> None:
    assert parse_packet(words.split(), "lan0") == packet
    assert parse_packet([words], "lan0") == packet  # quoted as one
    assert parse_packet([packet_words(packet)], "lan0") == packet


def test_self_is_a_source_without_an_address() -> None:
    packet = parse_packet(["udp", "self:123", "to", "[2001:db8::1]:123"], None)
    assert (packet.source, packet.source_port) == (ip_address("::"), 123)
    assert packet_words(packet) == "udp self:123 to [2001:db8::1]:123"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("tpc 10.0.0.5:4 to 192.0.2.1:5", "'tpc' is not a protocol", "did you mean 'tcp'?"),
        ("tcp 10.0.0.5:40000 -", "a shell takes the > of -> for a redirection", "write `to`"),
        ("tcp 10.0.0.5 192.0.2.1:3", "there is no `to`", "tcp 10.0.0.5:40000 to 203.0.113.9:443"),
        ("tcp to 192.0.2.1:3", "no source before `to`", "tcp 10.0.0.5:40000 to"),
        ("tcp 10.0.0.5 to", "no destination behind `to`", "tcp 10.0.0.5:40000 to"),
        ("tcp 10.0.0.5 : to 192.0.2.1:3", "expected `to` behind the source, found ':'", "tcp 10.0.0.5:40000 to"),
        ("", "there is none", "tcp 10.0.0.5:40000 to"),
        ("tcp 10.0.0.300 to 192.0.2.1:3", "'10.0.0.300' is not an IPv4 or IPv6 address", "tcp 10.0.0.5:40000 to"),
        ("tcp 10.0.0.5 to [fd00::1]:3", "of two families", "tcp 10.0.0.5:40000 to"),
        ("tcp fd00::5:40000 to [fd00::1]:3", "'fd00::5:40000' is not an IPv4 or IPv6", "[fd00::5]:40000"),
        ("tcp 10.0.0.5 to 192.0.2.1", "tcp needs a destination port", "192.0.2.1:443"),
        ("tcp fd00::5 to 2001:db8::1", "tcp needs a destination port", "[2001:db8::1]:443"),
        ("tcp 10.0.0.5 to 192.0.2.1:70000", "ports are 1 to 65535", ""),
        ("tcp 10.0.0.5 to 192.0.2.1:5-9", "5-9 are several ports", "one packet has one"),
        ("gre 10.0.0.5:3 to 192.0.2.1", "gre has no ports", "leave the port out"),
        ("icmpv6 10.0.0.5 to 192.0.2.1", "icmpv6 is of the other family than 10.0.0.5", "write icmp"),
        ("icmp 10.0.0.5 to 192.0.2.1 type 3", "type 3 is an ICMP error", "--error"),
        ("icmp fd00::5 to 2001:db8::9 type time-exceeded", "type time-exceeded is an ICMP error", "--error"),
        ("icmp 10.0.0.5 to 192.0.2.1 type ping", "there is no type 'ping'", "echo-request"),
        ("tcp 10.0.0.5 to 192.0.2.1:5 flgs ack", "no field 'flgs'", "did you mean 'flags'?"),
        ("tcp 10.0.0.5 to 192.0.2.1:5 flags akc", "no TCP flag 'akc'", "syn"),
        ("udp 10.0.0.5 to 192.0.2.1:5 flags ack", "flags are of tcp only", ""),
        ("tcp 10.0.0.5 to 192.0.2.1:5 ttl", "ttl has no value", "ttl 3"),
        ("tcp 10.0.0.5 to 192.0.2.1:5 ttl 0", "'0' is not a number from 1 to 255", ""),
        ("tcp 10.0.0.5 to 192.0.2.1:5 ttl 3 ttl 4", "ttl is given twice", ""),
        ("tcp 10.0.0.5 to 192.0.2.1:5 dscp eff", "'eff' is not a DSCP", "did you mean 'ef'?"),
        ("tcp 10.0.0.5 to 192.0.2.1:5 mark 0x10/0xff", "a packet has a whole mark", "0x10"),
        ("udp 10.0.0.5 to 192.0.2.1:5 id 4", "id is of icmp echoes only", ""),
    ],
)
def test_wrong_words_are_one_error_with_a_hint(words: str, message: str, hint: str) -> None:
    with pytest.raises(PacketError) as raised:
        parse_packet(words.split(), "lan0")
    assert message in raised.value.message
    assert hint in raised.value.hint
    assert raised.value.hint
