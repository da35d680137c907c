"""What walks find: forwards that do not arrive, answers by the wrong uplink, sources that leave as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from ipaddress import ip_interface
from types import MappingProxyType

import pytest

from nvi_operator.explain.machine import Machine
from nvi_operator.explain.words import packet_words
from nvi_operator.invariants.check import check
from nvi_operator.invariants.plain import is_plain
from nvi_operator.invariants.result import InvariantResult
from nvi_operator.kinds.egress_guard import EgressGuard
from nvi_operator.language.model.settings import Numbers
from nvi_operator.nft.ast import Rule, Table, Verdict
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState, Object
from nvi_operator.topology.assume import assume_working
from nvi_operator.topology.facts import ForeignRule, LinkFact, RouteTableFact
from tests.unit.invariants.gateways import findings, gateway, results
from tests.unit.language.specs import BASE, TENANTS

RULES = "  sourceNat:\n    - {name: all, as: isp-a}\n"
FORWARDS = """\
  forwards:
    web: {ports: 443/tcp, at: [isp-a, isp-b], to: "192.168.1.80:8443"}
    voice: {at: isp-a, ports: 6000-6010/udp, to: 192.168.1.81}
    tunnel: {at: 203.0.113.18, protocol: gre, to: 192.168.1.82}
    whole: {at: 203.0.113.18, to: 192.168.1.83}
    some: {at: isp-b, ports: 8000-8001/tcp, to: {192.168.1.90: 1, 192.168.1.91: 2}, from: 192.0.2.0/24, dscp: ef}
    mail: {at: isp-a, ports: 25/tcp, to: "[fd00:1::25]:2525"}
    own: {at: isp-a, ports: 22/tcp, to: 192.168.1.1}
"""


def told(text: str, base: str = BASE) -> dict[str, list[str]]:
    """Which checks of walks find something, and of what they say."""
    found = results(text, base).values()
    return {result.name: [f.message for f in result.findings] for result in found if result.findings}


def undecided(text: str, base: str = BASE) -> list[str]:
    return [unknown.message for result in results(text, base).values() for unknown in result.unknown]


@pytest.mark.parametrize(
    ("text", "base"),
    [
        (RULES + FORWARDS, BASE),
        (RULES + "  static: {host: {address: 192.168.1.80, as: 203.0.113.17}}\n", BASE),
        ("  sourceNat: [{name: all, as: {uplinks: [isp-a, isp-b], pick: random}}]\n", BASE),
        (
            "  sourceNat: [{name: all, as: dsl}]\n  forwards: {web: {at: dsl, ports: 443/tcp, to: 192.168.1.80}}\n",
            BASE,
        ),
        (RULES + "  redirects: {dns: {ports: 53/udp, to: 192.168.1.53}}\n", BASE),
        ("  sourceNat: [{name: r, tenant: red, as: isp-a}]\n", TENANTS),
        ("  forwards: {web: {ports: 443/tcp, tenant: red, to: 192.168.1.80}}\n", TENANTS),
    ],
)
def test_gateways_on_which_all_is_well(text: str, base: str) -> None:
    assert told(text, base) == {}
    assert undecided(text, base) == []


def test_an_entry_for_some_clients_only_may_take_packets_of_a_forward() -> None:
    static = "  static: {partner: {address: 192.168.1.7, as: 203.0.113.18, to: 192.0.2.0/24}}\n"
    assert told(RULES + FORWARDS + static) == {}


@pytest.mark.parametrize(
    ("route", "misled"),
    [
        ("to: 192.0.2.0/24", "203.0.113.2"),
        ("in: lan0", "203.0.113.2"),
        ("from: 203.0.113.2, to: 192.0.2.0/24", ""),  # says so
        ("from: 198.51.100.2, to: 192.0.2.0/24", ""),
    ],
)
def test_a_route_may_lead_sources_of_one_uplink_out_by_another(route: str, misled: str) -> None:
    found = findings("no-foreign-source", RULES + f"  routes: [{{name: partner, {route}, via: isp-b}}]\n")
    assert [f.path for f in found] == ([("spec", "routes", 0)] if misled else [])
    assert all(
        f"wan1 takes packets with source {misled} out, because of routes 'partner'" in f.message for f in found
    )


def test_a_route_that_a_rule_of_source_nat_goes_with_is_well() -> None:
    rules = "  sourceNat: [{name: partner, to: 192.0.2.0/24, as: isp-b}, {name: all, as: isp-a}]\n"
    assert told(rules + "  routes: [{name: partner, to: 192.0.2.0/24, via: isp-b}]\n") == {}


def test_a_route_may_lead_the_answers_of_a_forward_astray() -> None:
    routes = "  routes: [{name: partner, to: 192.0.2.0/24, via: isp-b}]\n"
    web = "  forwards: {web: {at: isp-a, ports: 443/tcp, to: 192.168.1.80}}\n"
    (found,) = findings("forwards-arrive", web + routes)
    assert found.path == ("spec", "forwards", "web")
    assert found.message.startswith("forward 'web' on 203.0.113.2: answers do not return by uplink 'isp-a'")
    assert found.packet is not None
    assert packet_words(found.packet) == "tcp 192.0.2.1:40000 to 203.0.113.2:443"
    assert found.packet.in_interface == "wan0"
    assert found.others == (("spec", "routes", 0),)
    assert "`except: {from: 203.0.113.2}`" in found.hint
    assert told(web + routes.replace("via:", "except: {from: 203.0.113.2}, via:")) == {}


def test_twice_nat_may_lead_hairpins_to_the_other_side() -> None:
    base = BASE.replace("198.51.100.2,", "198.51.100.2, routed: 10.1.0.0/24,")
    twice = (
        "  twiceNat: {partner: {from: 192.168.1.0/24, as: 10.1.0.0/24, to: 10.2.0.0/24, becomes: 192.168.1.0/24, "
        "via: isp-b}}\n"
    )
    web = "  forwards: {web: {at: 10.1.0.80, ports: 443/tcp, to: 192.168.1.80}}\n"
    hairpin = "forward 'web' on 10.1.0.80: wan1 takes hairpins out, because of twiceNat 'partner'"
    assert hairpin in told(web + twice, base)["forwards-arrive"]
    for other in (web.replace("to:", "hairpin: false, to:"), web.replace("10.1.0.80", "198.51.100.2")):
        assert "hairpins" not in str(told(other + twice, base))


def test_whether_a_server_in_no_declared_network_is_reached_only_the_host_knows() -> None:
    text = "  forwards: {web: {at: isp-a, ports: 443/tcp, to: 10.9.9.9}}\n"
    assert told(text) == {}
    assert undecided(text) == [
        "forward 'web': no interface that is up has its server in `networks`: whether there is a route to it "
        "only the host knows"
    ]


# --------------------------------------------------------------------------- of a gateway that is not as applied


def spoilt(text: str, spoil: object) -> dict[str, InvariantResult]:
    checked = check(gateway(text, spoil=spoil), thorough=True)  # type: ignore[arg-type]
    return {result.name: result for result in checked}


def test_without_the_rules_of_sources_answers_of_forwards_are_lost() -> None:
    def spoil(machine: Machine) -> Machine:
        def is_source(obj: object) -> bool:
            return isinstance(obj, FibRule) and obj.source == "203.0.113.2/32"

        return replace(machine, state=HostState({ref: obj for ref, obj in machine.state if not is_source(obj)}))

    found = spoilt(RULES + FORWARDS, spoil)["forwards-arrive"].findings
    assert {finding.path[2] for finding in found} == {"web", "voice"}
    assert all("answers do not return by uplink 'isp-a'" in finding.message for finding in found)


def without(chain: str, *ends: str) -> Callable[[Machine], Machine]:
    """A machine without those rules of a chain that end with one of these verdicts; without any of them where none is
    named.
    """

    def stays(rule: Rule) -> bool:
        last = rule[-1]
        return bool(ends) and not (isinstance(last, Verdict) and last.kind in ends)

    def less(obj: Object) -> Object:
        if not isinstance(obj, Table):
            return obj
        left = (replace(c, rules=tuple(filter(stays, c.rules))) if c.name == chain else c for c in obj.chains)
        return replace(obj, chains=tuple(left))

    return lambda machine: replace(machine, state=HostState({ref: less(obj) for ref, obj in machine.state}))


def test_without_its_map_no_forward_reaches_its_server() -> None:
    found = spoilt(RULES + FORWARDS, without("dstnat"))["forwards-arrive"].findings
    assert {finding.path[2] for finding in found} == {"web", "voice", "tunnel", "whole", "some", "mail", "own"}


def test_without_table_rules_and_guards_inside_sources_leave_as_they_are() -> None:
    def spoil(machine: Machine) -> Machine:
        def stays(obj: Object) -> bool:
            return not isinstance(obj, Table | EgressGuard | FibRule)

        return replace(machine, state=HostState({ref: obj for ref, obj in machine.state if stays(obj)}))

    found = spoilt(RULES, spoil)["no-untranslated-source"].findings
    assert found[0].path == ("spec", "interfaces", "lan0")
    assert found[0].message.startswith("inside source 192.168.1.")
    assert found[0].packet is not None
    assert found[0].packet.in_interface == "lan0"


@pytest.mark.parametrize("words", ["ports: 53/udp", "in: lan0, dscp: ef", "protocol: gre", "except: {ports: 1/tcp}"])
def test_what_a_rule_leaves_as_it_is_are_its_own_packets_alone(words: str) -> None:
    text = f"  sourceNat: [{{name: kept, {words}, as: unchanged}}]\n"
    assert told(text) == {}
    spoils = without("srcnat", "drop"), without("unasked_4"), without("unasked_6")
    found = spoilt(text, lambda machine: reduce(lambda left, spoil: spoil(left), spoils, machine))
    assert [finding.message for finding in found["no-untranslated-source"].findings] == [
        "inside source 192.168.1.0 leaves by wan0 untranslated",
        "inside source fd00:1::2 leaves by wan0 untranslated",
    ]


# --------------------------------------------------------------------------- a host with rules of others, or without


def test_a_rule_of_another_program_may_lead_packets_to_the_device_twice() -> None:
    rule = FibRule(4, 900, "lookup", table=Numbers().table)
    table = RouteTableFact(default=("nvi0",), refuses=True)
    facts = replace(assume_working(gateway(RULES).spec), rules=(ForeignRule(rule, table),))
    (loop,) = [result for result in check(gateway(RULES, facts=facts), thorough=True) if result.name == "no-loop"]
    assert [finding.message for finding in loop.findings] == [
        f"a packet comes to nvi0 twice, and is dropped there: the FIB rule `{rule}` leads it there in the second pass"
    ]


@pytest.mark.parametrize(
    ("ifname", "message"),
    [
        ("lan0", "forward 'web': no interface that is up has its server in `networks`"),
        ("wan0", "uplink 'isp-a' has no address, router or carrier now"),
    ],
)
def test_forwards_wait_for_an_interface_that_is_not_there(ifname: str, message: str) -> None:
    text = "  forwards: {web: {at: isp-a, ports: 443/tcp, to: 192.168.1.80}}\n"
    facts = assume_working(gateway(text).spec)
    links = {name: link for name, link in facts.links.items() if name != ifname}
    checked = check(gateway(text, facts=replace(facts, links=MappingProxyType(links))))
    (arrive,) = [result for result in checked if result.name == "forwards-arrive"]
    assert arrive.holds
    assert any(unknown.message.startswith(message) for unknown in arrive.unknown)


# --------------------------------------------------------------------------- plain gateways


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (RULES + FORWARDS.replace("192.168.1.83", "192.168.1.84"), True),
        (RULES, True),
        ("  forwards: {web: {at: isp-a, ports: 443/tcp, to: 10.9.9.9}}\n", False),
        ("  routes: [{name: r, to: 192.0.2.0/24, via: isp-b}]\n", False),
        ("  assert: [{name: a, to: self, never: 22/tcp}]\n", False),
        ("  guards: {antiSpoof: strict}\n", False),
        ("  redirects: {dns: {ports: 53/udp, to: 192.168.1.53}}\n", False),
    ],
)
def test_a_plain_gateway_is_not_walked(text: str, plain: bool) -> None:
    assert is_plain(gateway(text)) is plain

    def walked() -> Machine:
        raise AssertionError

    if plain:
        assert all(result.holds for result in check(replace(gateway(text), make_machine=walked)))


def test_a_gateway_with_an_uplink_that_does_not_work_is_walked() -> None:
    text = RULES
    facts = assume_working(gateway(text).spec)
    links = {**facts.links, "wan0": LinkFact("wan0", 1, up=False, addresses=(ip_interface("203.0.113.2/24"),))}
    assert not is_plain(gateway(text, facts=replace(facts, links=MappingProxyType(links))))
