"""A chain of another table that drops the packet ends its way there; one that may is named."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from nvi_operator.doctor.passage import Met, through_others
from nvi_operator.doctor.ruleset import parse_ruleset
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.explain.verdict import Delivered, Dropped, Forwarded
from nvi_operator.explain.walk import walks
from nvi_operator.explain.words import parse_packet
from nvi_operator.language.load.loader import load_texts
from nvi_operator.plan.compile import desired_state
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.resolve import resolve

SPEC = """
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces: { lan0: { networks: 192.168.1.0/24 } }
  uplinks: { isp-a: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2 } }
  sourceNat: [{ name: everyone, as: isp-a }]
"""
OUT = ("lan0", "tcp 192.168.1.10:40000 to 192.0.2.80:443")
IN = ("wan0", "tcp 192.0.2.80:40000 to 203.0.113.2:22")
DROP: dict[str, Any] = {"drop": None}


def interface(key: str, name: str) -> dict[str, Any]:
    return {"match": {"op": "==", "left": {"meta": {"key": key}}, "right": name}}


def port(number: int) -> dict[str, Any]:
    return {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": number}}


def through(
    packet: tuple[str, str], hook: str, *rules: list[dict[str, Any]], policy: str = "accept", type: str = "filter"
) -> Met:
    """By a table with one chain."""
    at = {"family": "inet", "table": "filter"}
    chain = {**at, "name": "chain", "type": type, "hook": hook, "prio": 0, "policy": policy}
    objects: list[dict[str, Any]] = [{"table": {"family": "inet", "name": "filter"}}, {"chain": chain}]
    objects += [{"rule": {**at, "chain": "chain", "handle": n, "expr": rule}} for n, rule in enumerate(rules, 1)]
    loaded = load_texts({"g.yaml": SPEC})
    facts = assume_missing(loaded.spec, Facts("host"))
    topology = resolve(loaded.name, loaded.spec, facts)
    (walk,) = walks(machine_of(topology, desired_state(topology), facts), parse_packet([packet[1]], packet[0]))
    return through_others(parse_ruleset(objects), topology, walk)


def test_a_chain_that_accepts_changes_nothing() -> None:
    met = through(OUT, "forward", [interface("iifname", "wan9"), DROP])
    assert met.walk.verdict != Dropped("inet filter chain policy")
    assert met.uncertain == ()


def test_a_policy_ends_the_first_pass_into_the_device() -> None:
    met = through(OUT, "forward", policy="drop")
    assert met.walk.verdict == Dropped("inet filter chain policy")
    assert (met.walk.steps[-1].stage, met.walk.steps[-1].hook) == (1, "forward")
    assert all(step.stage == 1 for step in met.walk.steps)


def test_a_rule_for_the_way_out_ends_the_second_pass() -> None:
    met = through(OUT, "forward", [interface("oifname", "wan0"), DROP])
    assert met.walk.verdict == Dropped("inet filter chain handle 1")
    assert met.walk.steps[-1].stage == 2


def test_a_chain_of_a_hook_that_the_packet_does_not_pass_is_not_asked() -> None:
    assert through(OUT, "input", policy="drop").walk.verdict != Dropped("inet filter chain policy")
    assert through(IN, "forward", policy="drop").walk.verdict == Delivered()
    assert through(IN, "input", policy="drop").walk.verdict == Dropped("inet filter chain policy")


def test_what_is_not_understood_is_named_and_ends_nothing() -> None:
    cpu = {"match": {"op": "==", "left": {"meta": {"key": "cpu"}}, "right": 1}}
    met = through(OUT, "forward", [cpu, DROP])
    assert met.uncertain == tuple(
        f"stage {stage}, forward: inet filter chain may drop it: what it asks is not known here" for stage in (1, 2)
    )
    assert not isinstance(met.walk.verdict, Dropped)


def test_what_may_change_the_packet_is_named() -> None:
    met = through(OUT, "postrouting", [interface("oifname", "wan0"), {"masquerade": None}])
    assert met.uncertain == (
        "stage 2, postrouting: inet filter chain may change it (masquerade): that is not walked",
    )
    assert through(OUT, "postrouting", [interface("oifname", "wan9"), {"masquerade": None}]).uncertain == ()
    translating = through(OUT, "postrouting", [interface("oifname", "wan0"), {"masquerade": None}], type="nat")
    assert translating.uncertain == (), "of the second pass conntrack knows nothing"


def test_ports_and_addresses_are_those_of_the_packet_at_the_hook() -> None:
    accept: dict[str, Any] = {"accept": None}
    assert through(OUT, "forward", [port(443), DROP]).walk.verdict == Dropped("inet filter chain handle 1")
    assert through(OUT, "forward", [port(80), DROP]).uncertain == ()
    assert through(OUT, "forward", [port(443), accept], policy="drop").walk.verdict == Forwarded(
        "wan0", ip_address("203.0.113.1")
    )
    for address, stage in (("192.168.1.10", 1), ("203.0.113.2", 2)):
        source = {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": address}}
        assert through(OUT, "postrouting", [source, DROP]).walk.steps[-1].stage == stage
