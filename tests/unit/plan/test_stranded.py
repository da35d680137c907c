"""Flows that a plan strands, by what conntrack tells of them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from nvi_operator.language.load.loader import load_texts
from nvi_operator.plan.change import Plan
from nvi_operator.plan.stranded import StrandedFlows
from nvi_operator.state.host import HostState
from nvi_operator.topology.flows import FlowQuestion, TrackedFlow
from tests.unit.topology.gateways import HEAD, TWO, topology

INSIDE = "  interfaces: { lan0: { networks: 192.168.1.0/24 }, lan1: { networks: 192.168.2.0/24 } }\n"
SYSLOG = 514


@pytest.mark.parametrize(
    ("to", "destination", "stranded"),
    [
        ("", "192.0.2.80", True),
        ("", "192.168.2.7", False),
        (", to: 0.0.0.0/0", "192.0.2.80", True),
        (", to: 0.0.0.0/0", "192.168.2.7", False),
        (", to: 0.0.0.0/0", "203.0.113.2", False),
        (", to: 192.168.2.128/25", "192.168.2.200", True),
        (", to: 192.168.2.128/25", "192.168.2.7", False),
        (", to: [192.168.2.128/25, 192.0.2.0/24]", "192.0.2.80", True),
    ],
)
def test_what_no_one_answers_is_stranded_only_where_a_rule_would_translate_it(
    to: str, destination: str, stranded: bool
) -> None:
    """Between inside networks a rule translates what it names a part of; all else is left alone."""
    text = f"{INSIDE}{TWO}  sourceNat: [{{ name: out, as: isp-a{to} }}]\n"
    spec = load_texts({"edge.yaml": HEAD + text}).spec
    source, asked = ip_address("192.168.1.10"), ip_address(destination)
    flow = TrackedFlow(4, 17, source, asked, asked, source, SYSLOG, SYSLOG, False, False, SYSLOG, answered=False)
    found = StrandedFlows(spec, Plan((), HostState(), HostState(), topology(text)), ())
    assert found.is_stranded(FlowQuestion(4, "", unanswered=True), flow) == stranded
