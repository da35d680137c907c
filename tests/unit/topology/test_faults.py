"""Which interfaces, uplinks and forwards of an applied gateway do not work."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from typing import Any

import pytest

from nvi_operator.language.load.loader import load_texts
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.faults import faults
from nvi_operator.topology.health import HealthFacts, ProbedState
from nvi_operator.topology.resolve import resolve

SPEC = """
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces: { lan0: { networks: [192.168.1.0/24, "fd00:1::/64"] } }
  uplinks:
    fixed:
      interface: wan0
      nextHop: [203.0.113.1, "2001:db8:a::1"]
      addresses: [203.0.113.2, "2001:db8:a::2"]
      routed: 203.0.113.16/28
      default: true
    lease: { interface: wan1, nextHop: auto, addresses: auto }
  sourceNat: [ { name: everyone, as: fixed } ]
  forwards:
    both: { ports: 443/tcp, to: 192.168.1.80 }
    by-address: { at: 203.0.113.2, ports: 25/tcp, to: 192.168.1.25 }
    by-lease: { at: lease, ports: 22/tcp, to: 192.168.1.22 }
    by-name: { at: fixed, ports: 53/udp, to: "[fd00:1::53]" }
    routed: { at: 203.0.113.17, to: 192.168.1.17 }
"""
LEASED: dict[str, Any] = {"addresses": (ip_interface("198.51.100.2/24"),), "next_hops": ((4, "198.51.100.1"),)}


def found(without: str | None = None, **changed: dict[str, Any]) -> list[str]:
    """The faults on a host that has all interfaces and a lease, but for what changed of some interface."""
    spec = load_texts({"edge.yaml": SPEC}).spec
    facts = assume_missing(spec, Facts("edge"))
    links = {name: link for name, link in facts.links.items() if name != without}
    if "wan1" in links:
        links["wan1"] = replace(links["wan1"], **LEASED)
    for name, fields in changed.items():
        links[name] = replace(links[name], **fields)
    return list(faults(spec, resolve("edge", spec, replace(facts, links=links))))


def test_a_gateway_on_which_all_is_up_has_none() -> None:
    assert found() == []


def test_an_interface_that_carries_nothing_is_named_with_its_state() -> None:
    assert found(without="lan0") == ["interface lan0 is absent"]
    assert found(lan0={"up": False}) == ["interface lan0 is down"]
    assert found(lan0={"carrier": False}) == ["interface lan0 is without carrier"]


def test_an_uplink_that_is_down_is_named_and_so_is_each_forward_that_is_published_on_it_alone() -> None:
    alone = [
        f"forward {name}: no uplink that it is published on works" for name in ("by-address", "by-name", "routed")
    ]
    assert found(without="wan0") == ["uplink fixed: wan0 is absent", *alone]
    assert found(wan0={"up": False}) == ["uplink fixed: wan0 is down", *alone]
    assert found(wan0={"carrier": False}) == ["uplink fixed: wan0 is without carrier", *alone]


def test_an_uplink_that_waits_for_its_lease_or_its_router_is_named_with_what_it_waits_for() -> None:
    forward = "forward by-lease: no uplink that it is published on works"
    no_lease = found(wan1={"addresses": (), "next_hops": ()})
    assert no_lease == ["uplink lease has no address now", forward]
    assert found(wan1={"next_hops": ()}) == ["uplink lease has no next hop now", forward]


def test_an_ipv6_address_without_a_router_is_no_fault_of_an_uplink_that_takes_what_it_gets() -> None:
    with_ipv6 = (*LEASED["addresses"], ip_interface("2001:db8:b::2/64"))
    assert found(wan1={"addresses": with_ipv6}) == []


def test_an_ipv4_lease_that_is_gone_is_a_fault_although_ipv6_works() -> None:
    only_ipv6 = {"addresses": (ip_interface("2001:db8:b::2/64"),), "next_hops": ((4, "198.51.100.1"), (6, "fe80::1"))}
    assert found(wan1=only_ipv6) == [
        "uplink lease has no IPv4 address now",
        "forward by-lease: no uplink that it is published on works",
    ]


def test_where_nothing_is_up_no_forward_of_an_uplink_works() -> None:
    nothing = {name: {"up": False, "next_hops": ()} for name in ("lan0", "wan0", "wan1")}
    told = found(**nothing)
    assert told[:3] == ["interface lan0 is down", "uplink fixed: wan0 is down", "uplink lease: wan1 is down"]
    assert [text.split()[1] for text in told[3:]] == ["both:", "by-address:", "by-lease:", "by-name:", "routed:"]


TRANSLATIONS = """
  static:
    routed: { address: 192.168.1.18, as: 203.0.113.18 }
  twiceNat:
    six: { from: "fd00:1::/64", as: "2001:db8:a:1::/64", to: "fd00:a2::/64", becomes: "fd00:9::/64", via: fixed }
"""


def test_one_to_one_and_twice_nat_are_named_whose_uplink_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    text = SPEC.replace("routed: 203.0.113.16/28", 'routed: [203.0.113.16/28, "2001:db8:a:1::/64"]')
    monkeypatch.setitem(globals(), "SPEC", text + TRANSLATIONS.removeprefix("\n"))
    assert found() == []
    told = found(wan0={"up": False})
    assert "static routed: no uplink that its addresses belong to works" in told
    assert "twiceNat six: uplink fixed does not work" in told
    assert not any("static" in fault or "twiceNat" in fault for fault in found(wan1={"up": False}))


def test_probes_of_an_uplink_whose_virtual_address_is_elsewhere_are_no_fault() -> None:
    """They have that address as their source."""
    text = SPEC.replace("      default: true\n", "      default: true\n      virtual: 203.0.113.2\n")
    spec = load_texts({"edge.yaml": text}).spec
    facts = assume_missing(spec, Facts("edge", health=HealthFacts({"fixed": ProbedState("down", "ping 192.0.2.80")})))
    links = {**facts.links, "wan1": replace(facts.links["wan1"], **LEASED)}
    without = replace(links["wan0"], addresses=(ip_interface("2001:db8:a::2"),))
    standby = resolve("edge", spec, replace(facts, links={**links, "wan0": without}))
    assert faults(spec, standby) == ()
    assert (standby.is_standby, standby.uplink("fixed").is_usable(4)) == (True, True)
    active = resolve("edge", spec, replace(facts, links=links))
    assert (active.is_standby, active.uplink("fixed").is_usable(4)) == (False, False)
