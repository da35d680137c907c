"""ICMP errors find the host that sent the packet, whoever they come from."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from nvi_operator.explain.icmp_errors import error
from nvi_operator.explain.machine import Machine
from tests.unit.explain.gateways import EDGE, gateway, the_walk, told

FORWARD = """
forwards:
  web: { ports: 443/tcp, to: "192.168.1.80:8443" }
"""
ROUTER = ip_address("198.18.0.1")


@pytest.fixture(scope="module")
def edge() -> Machine:
    return gateway(EDGE, FORWARD)


@pytest.mark.parametrize(
    ("sent", "back"),
    [
        ("lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:443", "lan0 198.18.0.1 -> 192.168.1.5"),
        ("lan0 icmp 192.168.1.5:7 -> 192.0.2.1", "lan0 198.18.0.1 -> 192.168.1.5"),
        # About a forward it seems to come from the address that was asked.
        ("wan1 tcp 192.0.2.1:40000 -> 198.51.100.2:443", "wan1 198.51.100.2 -> 192.0.2.1"),
        ("lan0 tcp 192.168.1.5:40000 -> 203.0.113.2:443", "lan0 203.0.113.2 -> 192.168.1.5"),
    ],
)
def test_an_error_of_a_router_reaches_the_sender(edge: Machine, sent: str, back: str) -> None:
    (came,) = error(edge, the_walk(edge, sent), "too-big", ROUTER)
    assert told(came) == back
    assert (came.packet.icmp_type, came.packet.icmp_code) == (3, 4)


@pytest.mark.parametrize(
    ("sent", "options", "back"),
    [
        # In the first pass nothing but a forward is translated yet.
        ("lan0 udp 192.168.1.5:4 -> 192.0.2.1:4", {"ttl": 1}, "lan0 192.168.1.1 -> 192.168.1.5"),
        ("wan1 tcp 192.0.2.1:4 -> 198.51.100.2:443", {"ttl": 1}, "wan1 198.51.100.2 -> 192.0.2.1"),
        # Of IPv6 it has the address of the interface that the packet came in by, and so does not leave to who spoofs.
        ("lan0 udp [2001:db8:f::1]:4 -> [2001:db8:f::2]:4", {"ttl": 1}, "dropped: out_isp_a (leak_untranslated)"),
        # In the second it is about a translated packet, and takes both passes to the host that sent it.
        ("lan0 udp 192.168.1.5:4 -> 192.0.2.1:4", {"ttl": 2}, "lan0 203.0.113.2 -> 192.168.1.5"),
        ("lan0 udp 192.168.1.5:4 -> 192.0.2.1:4", {"length": 1600}, "lan0 203.0.113.2 -> 192.168.1.5"),
        ("wan1 tcp 192.0.2.1:4 -> 198.51.100.2:443", {"length": 1600}, "wan1 198.51.100.2 -> 192.0.2.1"),
        ("lan0 udp [fd00:1::5]:4 -> [2001:db8:f::1]:4", {"length": 1600}, "lan0 2001:db8:a::2 -> fd00:1::5"),
    ],
)
def test_an_error_of_the_gateway_reaches_the_sender(
    edge: Machine, sent: str, options: dict[str, int], back: str
) -> None:
    refused = the_walk(edge, sent, **options)
    assert [told(each) for each in error(edge, refused)] == [back]


def test_an_error_is_routed_before_it_gets_the_stage_bit() -> None:
    """`own_answers` is a chain of type filter: its mark does not have the error routed again, as stage 2."""
    edge = gateway(EDGE, "guards: {antiSpoof: 'off'}")
    refused = the_walk(edge, "wan0 udp 203.0.113.20:4 -> 203.0.113.21:4")
    assert [told(each) for each in error(edge, refused)] == ["wan0 203.0.113.2 -> 203.0.113.20"]


def test_what_is_dropped_in_silence_has_no_error(edge: Machine) -> None:
    assert error(edge, the_walk(edge, "wan0 tcp 192.168.1.5:1 -> 203.0.113.2:2")) == ()
