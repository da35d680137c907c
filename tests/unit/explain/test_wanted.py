"""Which packets a trace waits for, as a person writes it, and the table that marks them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from nvi_operator.explain.packet import ICMP, ICMPV6, TCP, UDP, Packet
from nvi_operator.explain.wanted import Stages, Wanted, parse_wanted, table_text
from nvi_operator.explain.words import PacketError

A, B, B6 = ip_address("10.0.0.5"), ip_address("203.0.113.9"), ip_address("2001:db8::9")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tcp 10.0.0.5:40000 to 203.0.113.9:443", (4, TCP, A, 40000, B, 443)),
        ("tcp 10.0.0.5 to 203.0.113.9:443", (4, TCP, A, None, B, 443)),
        ("tcp any to 203.0.113.9", (4, TCP, None, None, B, None)),
        ("udp any:53 -> any", (4, UDP, None, 53, None, None)),
        ("udp any to [2001:db8::9]:53", (6, UDP, None, None, B6, 53)),
        ("udp any to 2001:db8::9", (6, UDP, None, None, B6, None)),
        ("icmp 10.0.0.5 to any", (4, ICMP, A, None, None, None)),
        ("icmp any to 2001:db8::9 id 7", (6, ICMPV6, None, 7, B6, None)),
        ("gre any to 203.0.113.9", (4, 47, None, None, B, None)),
    ],
)
def test_words_without_ports_and_addresses_want_any(words: str, expected: tuple[Any, ...]) -> None:
    assert parse_wanted([words], "lan0") == Wanted("lan0", *expected)


@pytest.mark.parametrize("words", ["", "tcp", "tcp any 203.0.113.9", "tcp any to", "tcp gw to any", "xyz any to any"])
def test_other_words_are_refused(words: str) -> None:
    with pytest.raises(PacketError):
        parse_wanted([words], None)


def test_a_packet_of_another_flow_is_not_wanted() -> None:
    wanted = parse_wanted(["tcp any to 203.0.113.9:443"], "lan0")
    assert wanted.covers(Packet("lan0", TCP, A, B, 40000, 443))
    assert not wanted.covers(Packet("wan0", TCP, A, B, 40000, 443))
    assert not wanted.covers(Packet("lan0", TCP, A, B, 40000, 80))


def test_every_rule_of_the_table_is_bounded_and_the_kernel_removes_it() -> None:
    wanted, gateway = parse_wanted(["tcp any to 203.0.113.9:443"], None), Stages(1 << 31, "nvi0")
    text = table_text("nvi_trace_7", wanted, gateway, 3, answers=True)
    first, *rest = text.splitlines()
    assert first == "add table inet nvi_trace_7 { flags owner; }"
    rules = [line for line in rest if line.endswith(" meta nftrace set 1")]
    assert len(rules) == 5
    assert all(" limit rate 1/hour burst " in rule for rule in rules)
    assert sum("burst 3 packets" in rule for rule in rules) == 2
