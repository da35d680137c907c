"""Assertions: what can be said of packets, and what is refused because no packet could be meant by it."""

from __future__ import annotations

from ipaddress import ip_network

import jsonschema
import pytest

from nvi_operator.language.model.assertions import Assertion
from nvi_operator.language.model.services import PortRange, Service, parse_target
from nvi_operator.language.model.values import parse_address_range
from nvi_operator.language.schema import schema
from tests.unit.language.specs import BASE, HEAD, load, problems_in


def assertion(text: str) -> Assertion:
    (found,) = load(f"{BASE}  assert:\n    - {{name: a, {text}}}\n").spec.assert_
    return found


def refused(text: str) -> tuple[str, str, str]:
    ((_, path, message, hint),) = problems_in(f"{BASE}  assert:\n    - {{name: a, {text}}}\n")
    return path.removeprefix("spec.assert[0]"), message, hint


def test_what_may_arrive_at_a_host() -> None:
    said = assertion("from: [outside, 10.0.0.0/8], to: 192.168.1.80, only: [443/tcp, icmp]")
    assert said.from_ == ("outside", ip_network("10.0.0.0/8"))
    assert said.to == (ip_network("192.168.1.80"),)
    assert said.only == (Service("tcp", PortRange(443, 443)), "icmp")
    assert assertion("in: lan0, to: self, never: all, except: {ports: 53/udp}").never == "all"
    assert assertion("to: inside, never: 22/tcp").never == (Service("tcp", PortRange(22, 22)),)


def test_how_packets_leave_and_where_they_arrive() -> None:
    said = assertion("from: 192.168.1.0/24, by: isp-a, as: [203.0.113.2, 203.0.113.16/29]")
    assert (said.by, said.as_) == (
        ("isp-a",),
        (parse_address_range("203.0.113.2"), parse_address_range("203.0.113.16/29")),
    )
    assert assertion("from: inside, as: unchanged").as_ == "unchanged"
    said = assertion("at: [isp-a, 203.0.113.17], ports: 443/tcp, reaches: '192.168.1.80:8443'")
    assert (said.at, said.reaches) == (
        ("isp-a", ip_network("203.0.113.17")),
        (parse_target("192.168.1.80:8443"),),
    )


@pytest.mark.parametrize(
    ("text", "field", "message", "hint"),
    [
        ("from: inside", "", "nothing has to hold: give at least one of only, never, reaches, by and as", ""),
        (
            "from: outsid, never: all",
            ".from",
            "there is no address set 'outsid'",
            "did you mean 'outside'?",
        ),
        ("only: 443", ".only", "443 names no protocol: write 443/tcp or 443/udp", ""),
        ("as: isp-a", ".as", "'isp-a' is not an address", "write `by: isp-a` where it is an uplink"),
        ("never: all, by: isp-a", "", "never all says that nothing arrives: leave the others out", ""),
        ("by: isp-q", ".by", "there is no uplink 'isp-q'", "did you mean 'isp-b'?"),
        ("at: isp-q, never: all", ".at", "there is no uplink 'isp-q'", "did you mean 'isp-b'?"),
        ("in: lan1, never: all", ".in", "there is no interface 'lan1'", "did you mean 'wan1'?"),
        (
            "from: 10.0.0.0/8, to: 'fd00:1::/64', never: all",
            ".to",
            "IPv4 mixed with IPv6: from is IPv4 and to is IPv6",
            "write one assertion for each family",
        ),
        (
            "from: self, in: lan0, never: all",
            "",
            "the gateway's own packets come in by no interface: write from: self, without in",
            "",
        ),
    ],
)  # fmt: skip
def test_what_no_packet_could_be_meant_by_is_refused(text: str, field: str, message: str, hint: str) -> None:
    assert refused(text) == (field, message, hint)


def test_every_form_is_in_the_schema() -> None:
    forms = [
        {"name": "a", "from": ["outside", "10.0.0.0/8"], "to": "192.168.1.80", "only": ["443/tcp", "icmp", 47]},
        {"name": "b", "at": "isp-a", "ports": "443/tcp", "reaches": "192.168.1.80:8443"},
        {"name": "c", "in": "lan0", "by": ["isp-a"], "as": "unchanged"},
        {"name": "d", "to": "self", "never": "all", "except": {"ports": "53/udp"}},
    ]
    document = {
        "apiVersion": "nvi-operator/v1",
        "kind": "Gateway",
        "metadata": {"name": "gw"},
        "spec": {"assert": forms},
    }
    jsonschema.validate(document, schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "spec": {"assert": [{"never": "all"}]}}, schema())


def test_assertions_of_several_documents_are_told_apart_by_name() -> None:
    more = HEAD + "spec:\n  assert:\n    - {name: a, to: self, never: 22/tcp}\n"
    ((_, path, message, _),) = problems_in(
        {"a.yaml": BASE + "  assert:\n    - {name: a, by: isp-a}\n", "b.yaml": more}
    )
    assert (path, message) == ("spec.assert[0].name", "assert 'a' is already defined at a.yaml:14:14")
