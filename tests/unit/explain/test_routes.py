"""Which route the kernel takes, where several could be meant."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from nvi_operator.explain.packet import Packet
from nvi_operator.explain.step import HostRoute, Refusing
from nvi_operator.explain.walk import walks
from nvi_operator.state.fib_rule import FibRule
from tests.unit.explain.gateways import EDGE, gateway, link, packet, told, where

LAN = {"lan0": link("lan0", 5, "192.168.1.1/24", "fd00:1::1/64")}


def test_nothing_comes_in_nor_out_by_an_interface_without_a_carrier() -> None:
    down = {"wan0": link("wan0", 9, "203.0.113.2/29", carrier=False)}
    edge = gateway(EDGE, links=LAN | down)
    assert where(edge, "wan0 tcp 192.0.2.1:1 -> 203.0.113.2:2") == "not modelled: LINK_DOWN"
    assert where(edge, "self tcp 203.0.113.2:1 -> 192.0.2.1:2") == "dropped: wan0"


def test_of_equal_ipv6_networks_that_of_the_in_interface_is_taken() -> None:
    spec = """
interfaces:
  lan0: { networks: "fd00:1::/64", tenant: one }
  lan1: { networks: "fd00:1::/64", tenant: two }
uplinks:
  isp: { interface: wan0, addresses: "2001:db8:a::2", nextHop: "2001:db8:a::1" }
"""
    links = {name: link(name, at, "fd00:1::1/64") for name, at in (("lan0", 5), ("lan1", 6))}
    edge = gateway(spec, links=links)
    for ifname in ("lan0", "lan1"):
        assert (
            where(edge, f"{ifname} udp [fd00:1::5]:1 -> [fd00:1::6]:2") == f"{ifname} [fd00:1::5]:1 -> [fd00:1::6]:2"
        )


def test_of_equal_ipv4_networks_that_of_the_in_interfaces_tenant_is_taken() -> None:
    spec = """
interfaces:
  lan0: { networks: 192.168.1.0/24, tenant: one }
  lan1: { networks: 192.168.0.0/16, tenant: two }
  lan2: { networks: 10.0.0.0/24 }
uplinks:
  isp: { interface: wan0, addresses: 203.0.113.2, nextHop: 203.0.113.1 }
"""
    addresses = {"lan0": "192.168.1.1/24", "lan1": "192.168.0.1/16", "lan2": "10.0.0.1/24"}
    edge = gateway(spec, links={name: link(name, at, a) for at, (name, a) in enumerate(addresses.items(), 5)})
    for ifname in ("lan0", "lan1"):
        asked = "192.168.1.5:1 -> 192.168.1.6:2"
        assert where(edge, f"{ifname} udp {asked}") == f"{ifname} {asked}"
    for words in ("lan2 udp 10.0.0.5:1 -> 192.168.1.6:2", "wan0 udp 192.0.2.1:1 -> 192.168.1.6:2"):
        assert where(edge, words) == "dropped: no_tenant (no_tenant)"
    assert where(edge, "lan2 udp 10.0.0.5:1 -> 192.168.2.6:2") == "lan1 10.0.0.5:1 -> 192.168.2.6:2", (
        "only one has it"
    )


def test_twice_nat_leads_to_the_far_side_where_tenants_have_its_addresses() -> None:
    spec = """
interfaces:
  lan0: { networks: 192.168.1.0/24, tenant: one }
  lan1: { networks: 192.168.1.0/24, tenant: two }
uplinks:
  part: { interface: part0, addresses: 10.255.0.2, nextHop: 10.255.0.1, routed: 10.1.0.0/24 }
twiceNat:
  partner: { from: 192.168.1.0/24, as: 10.1.0.0/24, to: 10.2.0.0/24, becomes: 192.168.1.0/24, via: part }
"""
    addresses = {"lan0": "192.168.1.1/24", "lan1": "192.168.1.1/24", "part0": "10.255.0.2/30"}
    edge = gateway(spec, links={name: link(name, at, a) for at, (name, a) in enumerate(addresses.items(), 5)})
    for ifname in ("lan0", "lan1"):
        asked = where(edge, f"{ifname} tcp 192.168.1.10:1 -> 10.2.0.20:443")
        assert asked == "part0 10.1.0.10:1 -> 192.168.1.20:443"


def test_a_strict_guard_asks_for_the_way_back_from_the_address_that_was_asked() -> None:
    strict = "guards: { antiSpoof: strict }"
    links = LAN | {
        "wan0": link("wan0", 9, "203.0.113.2/29", "2001:db8:a::2/64", next_hops=((4, "203.0.113.1"),)),
        "wan1": link("wan1", 10, "198.51.100.2/29"),
    }
    edge = gateway(EDGE, strict, links)
    assert where(edge, "wan1 tcp 192.0.2.1:1 -> 198.51.100.2:22") == "self 192.0.2.1:1 -> 198.51.100.2:22"
    assert where(edge, "wan0 tcp [2001:db8:f::1]:1 -> [2001:db8:a::2]:22") == (
        "self [2001:db8:f::1]:1 -> [2001:db8:a::2]:22"
    )
    assert where(edge, "wan1 tcp 192.0.2.1:1 -> 203.0.113.2:22") == "dropped: spoofed_source (spoofed)"


def test_of_several_next_hops_each_may_be_taken() -> None:
    edge = gateway(EDGE, "guards: { antiSpoof: strict }")
    hops = (HostRoute(ip_network("172.20.0.0/16"), name, shared=True) for name in ("dmz0", "lan0"))
    edge = replace(edge, routes=(*edge.routes, *hops))
    ways = walks(edge, packet("wan0 tcp 203.0.113.1:4000 -> 172.20.0.1:22"))
    assert {walk.chosen: told(walk).split()[0] for walk in ways} == {
        ("next hop dmz0",): "dmz0",
        ("next hop lan0",): "lan0",
    }
    for ifname in ("dmz0", "lan0"):  # each is a way back
        assert where(edge, f"{ifname} tcp 172.20.0.1:1 -> 192.168.1.1:22").startswith("self")


def test_a_strict_guard_knows_no_ports() -> None:
    strict = """
guards: { antiSpoof: strict }
sourceNat:
  - { name: dns, to: 192.0.2.0/24, ports: 22/tcp, as: isp-b }
  - { name: everyone, as: isp-a }
"""
    links = LAN | {"wan0": link("wan0", 9, "203.0.113.2/29", next_hops=((4, "203.0.113.1"),))}
    words = "wan0 tcp 192.0.2.1:1 -> 198.51.100.9:22"
    assert where(gateway(EDGE, strict, links), words) == where(
        gateway(EDGE, 'guards: { antiSpoof: "off" }', links), words
    )


def test_a_bound_socket_of_ipv6_chooses_its_source_before_it_gives_up() -> None:
    edge = gateway(EDGE, links=LAN | {"wan0": link("wan0", 9, "2001:db8:a::2/64")})
    sent: Packet = Packet(
        None, 17, ip_network("::/128")[0], ip_network("2001:db8:a:7::1/128")[0], 1, 2, bound_interface="wan0"
    )
    assert [told(walk) for walk in walks(edge, sent)] == ["wan0 [2001:db8:a::2]:1 -> [2001:db8:a:7::1]:2"]


def test_a_bound_socket_of_ipv6_asks_an_own_address_as_that_address() -> None:
    links = {"wan0": link("wan0", 9, "2001:db8:a::2/64"), "mgmt0": link("mgmt0", 12, "fd00:30::1/64")}
    edge = gateway(EDGE, links=LAN | links)
    own = ip_address("fd00:30::1")
    sent: Packet = Packet(None, 17, ip_address("::"), own, 1, 2, bound_interface="wan0")
    assert {walk.packet.source for walk in walks(edge, sent)} == {own}


def test_the_gateway_takes_what_is_sent_to_a_networks_broadcast_address() -> None:
    words = "lan0 udp 192.168.1.5:1 -> 192.168.1.255:2"
    assert where(gateway(EDGE, links=LAN), words) == "self 192.168.1.5:1 -> 192.168.1.255:2"


def test_a_broadcast_address_is_no_source_where_own_addresses_are_none() -> None:
    edge = gateway(EDGE, links=LAN | {"mgmt0": link("mgmt0", 12, "172.30.0.1/24")})
    assert where(edge, "mgmt0 udp 192.168.1.255:1 -> 172.30.0.1:2") == "dropped: martian source"


def test_an_interface_without_an_address_sends_with_that_of_another() -> None:
    edge = gateway(EDGE, links=LAN | {"mgmt0": link("mgmt0", 12)})
    sent: Packet = Packet(None, 17, ip_address("0.0.0.0"), ip_address("10.9.9.9"), 1, 2, bound_interface="mgmt0")
    assert [told(walk) for walk in walks(edge, sent)] == ["mgmt0 192.168.1.1:1 -> 10.9.9.9:2"]


def test_a_route_of_the_host_that_refuses_ends_the_way() -> None:
    edge = gateway(EDGE)
    kinds: dict[Refusing, str] = {"unreachable": "unreachable: table 254", "blackhole": "dropped: table 254"}
    for kind, end in kinds.items():
        route = HostRoute(ip_network("10.9.0.0/16"), refuses=kind)
        assert where(replace(edge, routes=(*edge.routes, route)), "lan0 tcp 192.168.1.5:1 -> 10.9.0.1:2") == end


def test_a_rule_with_not_takes_what_it_does_not_name() -> None:
    edge = gateway(EDGE)
    inverted = FibRule(4, 900, "unreachable", inverted=True, source="192.168.1.0/24")
    other = replace(edge, rules=(*edge.rules, inverted))
    assert where(other, "lan0 tcp 192.168.1.5:1 -> 172.16.0.9:2") == "dmz0 192.168.1.5:1 -> 172.16.0.9:2"
    assert where(other, "dmz0 tcp 172.16.0.9:1 -> 192.168.1.5:2") == "unreachable: rule 900"
