"""The way of single packets, told by the objects that an apply writes."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from nvi_operator.explain.machine import Machine
from nvi_operator.explain.step import ElementOf, RuleAt
from nvi_operator.explain.walk import reply
from nvi_operator.kinds.sysctl import Sysctl
from nvi_operator.kmod.facts import ModuleFacts
from nvi_operator.state.host import HostState
from tests.unit.explain.gateways import EDGE, gateway, the_walk, told, where

FORWARDS = """
forwards:
  web: { ports: 443/tcp, to: "192.168.1.80:8443" }
  range: { at: isp-a, ports: 6000-6010/udp, to: 192.168.1.81 }
"""


def test_inside_hosts_leave_by_the_uplink_of_their_rule_and_answers_come_back() -> None:
    edge = gateway(EDGE)
    out = the_walk(edge, "lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:443")
    assert told(out) == "wan0 203.0.113.2:40000 -> 192.0.2.1:443"
    assert [told(back) for back in reply(edge, out)] == ["lan0 192.0.2.1:443 -> 192.168.1.5:40000"]
    assert where(edge, "lan0 udp 192.168.1.80:5000 -> 192.0.2.1:53") == "wan1 198.51.100.2:5000 -> 192.0.2.1:53"


def test_ipv6_and_icmp_take_the_same_way() -> None:
    edge = gateway(EDGE)
    assert where(edge, "lan0 tcp [fd00:1::5]:4000 -> [2001:db8:f::1]:80") == (
        "wan0 [2001:db8:a::2]:4000 -> [2001:db8:f::1]:80"
    )
    ping = the_walk(edge, "lan0 icmp 192.168.1.5:77 -> 192.0.2.1")
    assert told(ping) == "wan0 203.0.113.2:77 -> 192.0.2.1"
    (back,) = reply(edge, ping)
    assert told(back) == "lan0 192.0.2.1:77 -> 192.168.1.5"
    assert back.entering.icmp_type == 0


def test_a_link_local_source_leads_no_further_than_its_wire() -> None:
    """ip6_forward()"""
    assert where(gateway(EDGE), "lan0 tcp [fe80::5]:4000 -> [2001:db8:f::1]:80") == "unreachable: stage 1"


def test_a_forward_reaches_its_server_and_its_answer_leaves_by_the_uplink_that_was_asked() -> None:
    edge = gateway(EDGE, FORWARDS)
    asked = the_walk(edge, "wan1 tcp 192.0.2.1:40000 -> 198.51.100.2:443")
    assert told(asked) == "lan0 192.0.2.1:40000 -> 192.168.1.80:8443"
    assert [told(back) for back in reply(edge, asked)] == ["wan1 198.51.100.2:443 -> 192.0.2.1:40000"]
    assert asked.entry is not None
    assert asked.entry.status == {"dnat"}
    subjects = [step.subject for step in asked.steps]
    assert [s.element for s in subjects if isinstance(s, ElementOf)] == [
        (("198.51.100.2", "tcp", 443), ("192.168.1.80", 8443))
    ]


def test_a_range_of_ports_keeps_the_port() -> None:
    edge = gateway(EDGE, FORWARDS)
    assert where(edge, "wan0 udp 192.0.2.1:4000 -> 203.0.113.2:6005") == "lan0 192.0.2.1:4000 -> 192.168.1.81:6005"


def test_a_hairpin_comes_from_the_public_address() -> None:
    edge = gateway(EDGE, FORWARDS)
    asked = the_walk(edge, "lan0 tcp 192.168.1.5:40000 -> 203.0.113.2:443")
    assert told(asked) == "lan0 203.0.113.2:40000 -> 192.168.1.80:8443"
    assert [told(back) for back in reply(edge, asked)] == ["lan0 203.0.113.2:443 -> 192.168.1.5:40000"]


def test_packets_between_inside_networks_stay_as_they_are() -> None:
    edge = gateway(EDGE)
    assert where(edge, "lan0 tcp 192.168.1.5:40000 -> 172.16.0.9:22") == "dmz0 192.168.1.5:40000 -> 172.16.0.9:22"


def test_spoofed_sources_are_dropped_where_they_come_in() -> None:
    edge = gateway(EDGE)
    assert where(edge, "lan0 tcp 203.0.113.2:1 -> 192.0.2.1:2") == "dropped: ingress of lan0 (spoofed)"
    assert where(edge, "wan0 tcp 192.168.1.5:1 -> 203.0.113.2:2") == "dropped: spoofed_source (spoofed)"


def test_a_packet_that_belongs_to_no_flow_does_not_leave_untranslated() -> None:
    edge = gateway(EDGE)
    end = where(edge, "lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:443", tcp_flags=frozenset({"rst"}))
    assert end == "unreachable: rule 1900"


def test_the_gateway_itself_leaves_by_the_uplink_of_its_source() -> None:
    edge = gateway(EDGE)
    assert where(edge, "self udp 198.51.100.2:53 -> 192.0.2.1:53") == "wan1 198.51.100.2:53 -> 192.0.2.1:53"
    assert where(edge, "self udp 192.168.1.1:53 -> 192.168.1.5:53") == "lan0 192.168.1.1:53 -> 192.168.1.5:53"


def test_what_is_sent_to_the_gateway_is_delivered() -> None:
    edge = gateway(EDGE)
    assert where(edge, "lan0 tcp 192.168.1.5:40000 -> 192.168.1.1:22") == "self 192.168.1.5:40000 -> 192.168.1.1:22"


def test_each_pass_takes_a_hop_and_a_ttl_of_two_ends_at_the_second() -> None:
    edge = gateway(EDGE)
    words = "lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:443"
    assert the_walk(edge, words, ttl=64).packet.ttl == 62
    assert where(edge, words, ttl=1) == "time-exceeded: stage 1"
    assert where(edge, words, ttl=2) == "time-exceeded: stage 2"
    hidden = gateway(EDGE, "dataplane: { hideHop: true }")
    assert the_walk(hidden, words, ttl=64).packet.ttl == 63


def test_a_packet_larger_than_the_way_out_is_refused_in_the_second_pass() -> None:
    edge = gateway(EDGE)
    assert where(edge, "lan0 udp 192.168.1.5:4 -> 192.0.2.1:4", length=1500).startswith("wan0")
    assert where(edge, "lan0 udp 192.168.1.5:4 -> 192.0.2.1:4", length=1501) == "too-big: wan0"


def test_a_second_packet_belongs_to_the_flow_of_the_first() -> None:
    edge = gateway(EDGE)
    words = "lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:443"
    first = the_walk(edge, words)
    assert where(edge.knowing(first.entry), words) == told(first)
    (back,) = reply(edge, first)
    again = the_walk(edge.knowing(first.entry).knowing(back.entry), words, tcp_flags=frozenset({"ack"}))
    assert told(again) == told(first)
    assert [step.note for step in again.steps if step.did == "tracked"] == ["established, original direction"]
    answer = the_walk(edge.knowing(first.entry), "wan0 tcp 192.0.2.1:443 -> 203.0.113.2:40000")
    assert told(answer) == "lan0 192.0.2.1:443 -> 192.168.1.5:40000"


def test_a_connection_takes_no_data_before_its_answer() -> None:
    edge = gateway(EDGE)
    words = "lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:443"
    first = the_walk(edge, words)
    assert where(edge.knowing(first.entry), words, tcp_flags=frozenset({"ack"})) == "unreachable: rule 1900"


def test_two_flows_never_share_a_translated_port() -> None:
    edge = gateway(EDGE)
    first = the_walk(edge, "lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:443")
    second = the_walk(edge.knowing(first.entry), "lan0 tcp 192.168.1.6:40000 -> 192.0.2.1:443")
    assert second.packet.source_port != 40000
    assert 40000 not in second.leaving("source_port")
    assert (second.leaving("source_port").first, second.leaving("source_port").last) == (1024, 65535)


def test_a_request_is_no_answer_to_the_same_request() -> None:
    edge = gateway(EDGE, "static: { server: { address: 192.168.1.80, as: 203.0.113.29 } }")
    first = the_walk(edge, "lan0 icmp 192.168.1.81:7 -> 203.0.113.29", icmp_type=8)
    asked = the_walk(edge.knowing(first.entry), "lan0 icmp 192.168.1.80:7 -> 203.0.113.29", icmp_type=8)
    assert asked.packet.destination == ip_address("192.168.1.80")


def test_a_protocol_without_ports_has_one_flow_between_two_addresses() -> None:
    edge = gateway(EDGE)
    first = the_walk(edge, "lan0 gre 192.168.1.5 -> 192.0.2.1")
    assert where(edge.knowing(first.entry), "lan0 gre 192.168.1.6 -> 192.0.2.1") == "dropped: conntrack"
    assert where(edge.knowing(first.entry), "lan0 gre 192.168.1.6 -> 192.0.2.2") == "wan0 203.0.113.2 -> 192.0.2.2"


def test_every_step_names_what_decided() -> None:
    out = the_walk(gateway(EDGE), "lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:443")
    rules = [step.subject.chain for step in out.steps if isinstance(step.subject, RuleAt)]
    assert rules == ["srcnat", "mark_hook", "mark_hook", "raw_prerouting", "out_isp_a"]


def test_without_the_table_nothing_leaves_the_device() -> None:
    edge = gateway(EDGE)
    objects = {ref: obj for ref, obj in edge.state.objects.items() if ref.kind != "nft-table"}
    bare = Machine(type(edge.state)(objects), edge.interfaces, edge.routes)
    assert where(bare, "lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:443") == "dropped: device (no_stage_bit)"


def test_nothing_passes_an_interface_that_does_not_forward() -> None:
    edge, path = gateway(EDGE), "net/ipv4/conf/lan0/forwarding"
    objects = ((ref.kind, Sysctl(path, "0") if ref.key == path else each) for ref, each in edge.state)
    off = replace(edge, state=HostState.of(objects))
    assert told(the_walk(off, "lan0 tcp 192.168.1.5:4 -> 192.0.2.1:443")) == "dropped: forwarding is off"


def test_both_dataplanes_take_the_same_way() -> None:
    module = gateway(EDGE, "dataplane: { type: kmod, hideHop: true }", module=ModuleFacts(loaded=True))
    assert [ref.kind for ref, _ in module.state if ref.kind in ("tc-program", "module")] == ["module"]
    out = the_walk(module, "lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:443")
    assert told(out) == "wan0 203.0.113.2:40000 -> 192.0.2.1:443"
    assert out.packet.ttl == 63
    by_index = gateway(EDGE, "dataplane: { inInterface: skb_iif, keepMarks: true }")
    assert the_walk(by_index, "lan0 tcp 192.168.1.5:1 -> 192.0.2.1:2", mark=0x11).packet.mark == 0x80000011
