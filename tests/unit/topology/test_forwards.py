"""What becomes of forwards: entries of maps, or rules where there is a choice."""

from __future__ import annotations

import pytest

from nvi_operator.language.fast.delta import Delta
from nvi_operator.language.load.loader import load_texts
from nvi_operator.topology.facts import LinkFact
from nvi_operator.topology.incremental import topology_after
from tests.unit.topology.gateways import AUTO, HEAD, LAN, TWO, link, topology


def forwards(body: str, *links: LinkFact, uplinks: str = TWO) -> list[tuple[str, ...]]:
    found = topology(f"{LAN}{uplinks}  forwards:\n    web: {{ {body} }}\n", *links)
    return [
        (str(e.public), e.protocol or "", str(e.ports or ""), str(e.target), str(e.target_port or ""))
        for e in found.forwards
    ]


FORWARDS = {
    "on-every-uplink-of-the-family": (
        "ports: 443/tcp, to: 192.168.1.80",
        [
            ("203.0.113.2", "tcp", "443", "192.168.1.80", "443"),
            ("198.51.100.2", "tcp", "443", "192.168.1.80", "443"),
        ],
    ),
    "on-one-uplink-in-both-families": (
        "at: isp-a, ports: 443/tcp, to: ['192.168.1.80:8443', '[fd00:1::80]:8443']",
        [
            ("203.0.113.2", "tcp", "443", "192.168.1.80", "8443"),
            ("2001:db8:a::2", "tcp", "443", "fd00:1::80", "8443"),
        ],
    ),
    "several-protocols": (
        "at: isp-b, ports: [53/udp, 53/tcp], to: 192.168.1.80",
        [
            ("198.51.100.2", "udp", "53", "192.168.1.80", "53"),
            ("198.51.100.2", "tcp", "53", "192.168.1.80", "53"),
        ],
    ),
    "a-range-as-it-is": (
        "at: isp-b, ports: 100-110/udp, to: 192.168.1.80",
        [("198.51.100.2", "udp", "100-110", "192.168.1.80", "")],
    ),
    "a-range-shifted-is-a-port-each": (
        "at: isp-b, ports: 100-101/udp, to: '192.168.1.80:200-201'",
        [
            ("198.51.100.2", "udp", "100", "192.168.1.80", "200"),
            ("198.51.100.2", "udp", "101", "192.168.1.80", "201"),
        ],
    ),
    "everything-sent-to-an-address": (
        "at: 203.0.113.17, to: 192.168.1.80",
        [("203.0.113.17", "", "", "192.168.1.80", "")],
    ),
}


@pytest.mark.parametrize(("body", "expected"), FORWARDS.values(), ids=FORWARDS)
def test_a_forward_becomes_these_entries(body: str, expected: list[tuple[str, ...]]) -> None:
    assert forwards(body) == expected


SAME_PORT = f"""{LAN}  uplinks:
    isp-a: {{ interface: wan0, nextHop: auto, routed: 203.0.113.0/28, default: true }}
  forwards:
    by-address: {{ at: 203.0.113.2, ports: 440-443/tcp, to: 192.168.1.80 }}
    by-uplink: {{ at: isp-a, ports: [443/tcp, 444/tcp], to: 192.168.1.81 }}
"""


def test_a_lease_of_an_address_that_a_forward_names_leaves_each_port_to_one() -> None:
    before = topology(SAME_PORT, link("lan0"), link("wan0", "203.0.113.3/28"))
    assert [(e.name, str(e.public), str(e.ports)) for e in before.forwards] == [
        ("by-address", "203.0.113.2", "440-443"),
        ("by-uplink", "203.0.113.3", "443"),
        ("by-uplink", "203.0.113.3", "444"),
    ]
    after = topology(SAME_PORT, link("lan0"), link("wan0", "203.0.113.2/28"))
    assert [(e.name, str(e.ports)) for e in after.forwards] == [("by-address", "440-443"), ("by-uplink", "444")]
    assert [note for note in after.notes if note.startswith("forward by-uplink: omitted")]
    gone = {"by-address": load_texts({"gw.yaml": HEAD + SAME_PORT}).spec.forwards["by-address"]}
    delta = Delta("forwards", removed=gone, added={})
    assert topology_after(before, delta) is not None
    assert topology_after(after, delta) is None, "now another has its port"


def test_such_a_lease_leaves_a_port_that_several_servers_share_to_one() -> None:
    spec = SAME_PORT.replace("to: 192.168.1.80", "to: { '192.168.1.80': 1, '192.168.1.82': 1 }", 1)
    after = topology(spec, link("lan0"), link("wan0", "203.0.113.2/28"))
    assert [(rule.name, str(rule.service)) for rule in after.forward_rules] == [("by-address", "440-443/tcp")]
    assert [(e.name, str(e.ports)) for e in after.forwards] == [("by-uplink", "444")]


def test_a_forward_on_an_uplink_without_an_address_waits_for_it() -> None:
    body = "ports: 443/tcp, to: 192.168.1.80"
    assert forwards(body, link("lan0"), link("wan0"), uplinks=AUTO) == []
    leased = forwards(body, link("lan0"), link("wan0", "100.64.0.9/22"), uplinks=AUTO)
    assert [entry[0] for entry in leased] == ["100.64.0.9"]


@pytest.mark.parametrize(
    "body",
    ["to: { '192.168.1.80': 3, '192.168.1.81': 1 }", "from: 192.0.2.0/24, to: 192.168.1.80"],
    ids=["a-choice", "some-clients-only"],
)
def test_a_forward_that_chooses_is_a_rule_and_no_entry(body: str) -> None:
    found = topology(f"{LAN}{TWO}  forwards:\n    web: {{ at: isp-a, ports: 443/tcp, {body} }}\n")
    assert found.forwards == ()
    (rule,) = found.forward_rules
    assert rule.counter == "dnat_web"


def test_a_choice_on_shifted_ports_is_a_rule_for_each_port() -> None:
    body = "at: isp-a, ports: 100-102/tcp, to: { '192.168.1.80:200-202': 1, '192.168.1.81:300-302': 2 }"
    found = topology(f"{LAN}{TWO}  forwards:\n    web: {{ {body} }}\n")
    assert [[choice[1] for choice in rule.choices] for rule in found.forward_rules] == [
        [200, 300],
        [201, 301],
        [202, 302],
    ]


def test_a_forward_to_a_server_behind_the_only_uplink_needs_a_rule_that_the_note_gives() -> None:
    text = LAN + (
        "  uplinks: { isp: { interface: wan0, nextHop: auto, addresses: 203.0.113.2, networks: 10.6.0.0/16 } }\n"
        "  forwards:\n    web: { ports: 443/tcp, to: 10.6.0.5 }\n"
    )
    (note,) = (note for note in topology(text).notes if note.startswith("forward web"))
    rule = "{name: web, in: [wan0], to: [10.6.0.5], as: isp}"
    assert note.endswith(f"first under sourceNat: {rule}")
    assert not any(note.startswith("forward") for note in topology(f"{text}  sourceNat: [{rule}]\n").notes)


@pytest.mark.parametrize(
    ("server", "what"),
    [
        ("192.168.1.127", "the broadcast address"),
        ("fd00:1::", "the address of all routers"),
        ("192.168.1.255", None),  # of what the spec declares, and of no network of the interface
        ("192.168.1.0", None),
    ],
)
def test_a_forward_to_an_address_that_no_host_of_the_wire_has_is_noted(server: str, what: str | None) -> None:
    text = f"{LAN}{TWO}  forwards:\n    web: {{ at: isp-a, ports: 443/tcp, to: '{server}' }}\n"
    found = topology(text, link("lan0", "192.168.1.1/25", "fd00:1::1/64"), link("wan0"), link("wan1"))
    notes = [note for note in found.notes if note.startswith("forward web")]
    expected = f"forward web: {server} is {what} of the network at lan0, and no host's: name the address of a server"
    assert notes == ([expected] if what else [])
