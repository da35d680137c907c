"""What `nvictl show flows` prints."""

from __future__ import annotations

from ipaddress import ip_address

from nvi_operator.state.flow import Flow, FlowTuple
from nvi_operator.view.flows import NONE, flows_json, flows_text
from tests.unit.view.lines import text_of

ORIGINAL = FlowTuple(ip_address("192.168.1.10"), 40000, ip_address("192.0.2.80"), 443)
TRANSLATED = FlowTuple(ip_address("203.0.113.2"), 40000, ip_address("192.0.2.80"), 443)
FLOW = Flow("tcp", "lan0", ORIGINAL, "wan0", TRANSLATED, 1200, 96000, confirmed=True)


def shown(*flows: Flow, total: int) -> str:
    return text_of(flows_text(flows, total, None))


def test_a_flow_is_shown_before_and_after_translation() -> None:
    title, _, line = shown(FLOW, total=37).splitlines()
    assert title == "the largest of 37 cached directions"
    assert " ".join(line.split()) == (
        "tcp lan0 192.168.1.10:40000 > 192.0.2.80:443 wan0 203.0.113.2:40000 > 192.0.2.80:443 1200 96000 fast"
    )


def test_ipv6_addresses_stand_in_brackets() -> None:
    six = FlowTuple(ip_address("fd00:1::10"), 1, ip_address("2001:db8:f::80"), 443)
    assert "[fd00:1::10]:1 > [2001:db8:f::80]:443" in shown(
        Flow("udp", "lan0", six, "wan0", six, 0, 0, confirmed=False), total=1
    )


def test_without_flows_it_says_where_to_look() -> None:
    assert shown(total=0).strip() == NONE


def test_the_json_has_both_tuples() -> None:
    data = flows_json([FLOW], 1)
    assert data["total"] == 1
    (flow,) = data["flows"]
    assert flow["original"]["source"] == "192.168.1.10"
    assert flow["translated"] == {
        "source": "203.0.113.2",
        "sourcePort": 40000,
        "destination": "192.0.2.80",
        "destinationPort": 443,
    }
