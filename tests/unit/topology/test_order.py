"""Uplinks by preference: the first that works is taken, and a metered one only where nothing better works."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from types import MappingProxyType

import pytest

from nvi_operator.kinds.fib_rule import FIB_RULE
from nvi_operator.language.load.loader import load_texts
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.facts import Facts, LinkFact
from nvi_operator.topology.health import HealthFacts, ProbedState
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve
from nvi_operator.topology.rules import Spread, ToRange, Unavailable

HEAD = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces: { lan0: { networks: [192.168.1.0/24] } }
"""
UPLINKS = """\
  uplinks:
    a: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2 }
    b: { interface: wan1, nextHop: 198.51.100.1, addresses: 198.51.100.2, weight: 3 }
    lte: { interface: wwan0, nextHop: 10.64.0.1, addresses: 10.64.0.2, weight: 0 }
"""
ADDRESS = {"203.0.113.2": "a", "198.51.100.2": "b", "10.64.0.2": "lte"}
WIRES = {"a": "wan0", "b": "wan1", "lte": "wwan0"}


def topology(more: str, *, unplugged: str = "", dead: str = "", main: str = "") -> Topology:
    """Of three uplinks. `unplugged` are without carrier, the probes of `dead` say down; `main` leads out by one."""
    links = {
        name: LinkFact(name, number, carrier=name not in [WIRES[u] for u in unplugged.split()])
        for number, name in enumerate(("lan0", *WIRES.values()), start=2)
    }
    health = {name: ProbedState("down", reason="no answer") for name in dead.split()}
    facts = Facts("host", MappingProxyType(links), health=HealthFacts(health))
    if main:
        facts = replace(facts, default_interfaces=MappingProxyType({4: WIRES[main]}))
    return resolve("edge", load_texts({"edge.yaml": HEAD + UPLINKS + more}).spec, facts)


def shares(found: Topology) -> dict[str, int]:
    """The uplinks that new flows are given to by the last rule of source NAT, with weights."""
    match found.source_rules[-1].action:
        case ToRange(addresses, _, _):
            return {ADDRESS[str(addresses.first)]: 1}
        case Spread(choices, _, _):
            return {choice.key: choice.weight for choice in choices}
        case Unavailable():
            return {}
        case other:
            raise AssertionError(other)


def everyone(as_: str) -> str:
    return f"  sourceNat: [{{ name: everyone, as: {as_} }}]\n"


@pytest.mark.parametrize("ill", ["unplugged", "dead"])
@pytest.mark.parametrize(
    ("as_", "gone", "taken"),
    [
        ("{ first: [a, b, lte] }", "", {"a": 1}),
        ("{ first: [a, b, lte] }", "a", {"b": 1}),
        ("{ first: [b, a, lte] }", "a", {"b": 1}),
        ("{ first: [a, b, lte] }", "a b", {"lte": 1}),
        ("{ first: [a, b, lte] }", "a b lte", {"a": 1}),  # nothing better is there
        ("{ first: a }", "a", {"a": 1}),
        ("{ first: [[a, b], lte] }", "", {"a": 1, "b": 3}),
        ("{ first: [{ a: 2, b: 1 }, lte] }", "", {"a": 2, "b": 1}),
        ("{ first: [[a, b], lte] }", "a", {"b": 1}),
        ("{ first: [[a, b], lte] }", "a b", {"lte": 1}),
        ("{ first: [{ a: 1, b: 0 }, lte] }", "", {"a": 1}),
        ("{ first: [{ a: 1, b: 0 }, lte] }", "a", {"b": 1}),
        ("{ uplinks: { a: 1, lte: 0 } }", "", {"a": 1}),
        ("{ uplinks: { a: 1, lte: 0 } }", "a", {"lte": 1}),
        ("[a, b, lte]", "", {"a": 1, "b": 3}),
        ("[a, b, lte]", "a b", {"lte": 1}),
        ("{ uplinks: { a: 0, b: 0 } }", "", {"a": 1, "b": 1}),
    ],
)
def test_flows_take_the_first_that_works(as_: str, gone: str, taken: dict[str, int], ill: str) -> None:
    assert shares(topology(everyone(as_), **{ill: gone})) == taken


def test_a_link_without_carrier_is_worse_than_one_whose_probes_fail() -> None:
    assert shares(topology(everyone("{ first: [a, b] }"), unplugged="a", dead="b")) == {"b": 1}


def test_the_page_of_a_modem_is_reached_while_the_line_is_dead() -> None:
    links = {
        "lan0": LinkFact("lan0", 2),
        "wan0": LinkFact("wan0", 3, addresses=(ip_interface("203.0.113.2/29"),)),
        "wan1": LinkFact("wan1", 4, addresses=(ip_interface("198.51.100.2/29"),)),
    }
    facts = Facts("host", MappingProxyType(links), health=HealthFacts({"a": ProbedState("down")}))
    text = HEAD + UPLINKS + everyone("{ first: [a, b] }")
    near = resolve("edge", load_texts({"edge.yaml": text}).spec, facts).source_rules
    found = {str(rule.conditions.destinations[0]): rule.action for rule in near if rule.conditions.destinations}
    action = found["203.0.113.0/29"]
    assert isinstance(action, ToRange)
    assert str(action.addresses) == "203.0.113.2"


# --------------------------------------------------------------------------- routes, default, own packets


def test_a_route_leads_by_the_first_that_works() -> None:
    text = everyone("a") + "  routes: [{ name: dc, to: 10.9.0.0/16, via: { first: [a, b] } }]\n"
    assert [route.uplink for route in topology(text).routes] == ["a"]
    assert [route.uplink for route in topology(text, dead="a").routes] == ["b"]
    assert [route.uplink for route in topology(text, dead="a b").routes] == ["a"]
    assert [route.uplink for route in topology(text.replace("{ first: [a, b] }", "b")).routes] == ["b"]


def test_what_is_not_translated_leaves_by_the_first_default_that_works() -> None:
    text = everyone("unchanged") + "  defaultUplink: { first: [b, a] }\n"
    for dead, uplink in (("", "b"), ("b", "a"), ("a b", "b")):
        way = topology(text, dead=dead).default_way(4)
        assert way is not None
        assert way.untranslated == uplink
    assert [uplink.name for uplink in topology(text).uplinks if uplink.default] == ["a", "b"]


def own(found: Topology) -> dict[int, int | None]:
    """The tables that the gateway's own packets are led to from the last rules on, by priority."""
    rules = [rule for rule in FIB_RULE.desired(found) if isinstance(rule, FibRule)]
    return {rule.priority: rule.table for rule in rules if rule.iif == "lo" and rule.priority > 32000}


ORDER = everyone("{ first: [a, lte] }") + "  defaultUplink: { first: [a, b, lte] }\n"


@pytest.mark.parametrize(
    ("text", "main", "dead", "rules"),
    [
        (ORDER, "", "", {33767: 7801}),  # main has no default route
        (ORDER, "", "a", {33767: 7802}),
        (ORDER, "a", "", {33767: 7801}),  # main's leads by the right one
        (ORDER, "a", "a", {32764: 254, 32765: 7802, 33767: 7802}),
        (ORDER, "b", "", {32764: 254, 32765: 7801, 33767: 7801}),
        (ORDER, "a", "a b lte", {33767: 7801}),  # nothing better is there
        # Without an order: as the rule for everyone has it, and only where main's way does not work.
        (everyone("{ first: [a, lte] }").replace("a,", "b,") + "  defaultUplink: b\n", "b", "b", {33767: 7802}),
        (everyone("[a, b]"), "a", "a", {33767: 7802}),  # and without a default nothing is changed
    ],
)
def test_the_gateways_own_packets(text: str, main: str, dead: str, rules: dict[int, int]) -> None:
    assert own(topology(text, main=main, dead=dead)) == rules


def test_own_packets_follow_the_rule_for_everyone_where_the_default_uplink_does_not_work() -> None:
    text = everyone("{ first: [a, lte] }").replace("as:", "as:") + ""
    spec = UPLINKS.replace("203.0.113.2 }", "203.0.113.2, default: true }")
    loaded = load_texts({"edge.yaml": HEAD + spec + text}).spec
    links = MappingProxyType({name: LinkFact(name, 2) for name in ("lan0", *WIRES.values())})
    facts = Facts("host", links, default_interfaces=MappingProxyType({4: "wan0"}))
    assert own(resolve("edge", loaded, facts)) == {33767: 7801}
    dead = replace(facts, health=HealthFacts({"a": ProbedState("down")}))
    assert own(resolve("edge", loaded, dead)) == {32764: 254, 32765: 7803, 33767: 7803}
