"""What is known of a gateway without a walk, a walk of all its packets confirms."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from nvi_operator.explain.machine import Machine
from nvi_operator.explain.step import RuleAt
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.invariants.check import check
from nvi_operator.invariants.classes import Classes
from nvi_operator.invariants.dead import dead_entries
from nvi_operator.invariants.gateway import ResolvedGateway
from nvi_operator.invariants.plain import is_plain
from nvi_operator.invariants.selection import selected
from nvi_operator.language.model.assertions import Assertion
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.source_nat import SourceNat
from nvi_operator.nft.ast import Count
from nvi_operator.plan.compile import desired_state
from nvi_operator.topology.assume import assume_working
from nvi_operator.topology.interfaces import identifier
from nvi_operator.topology.resolve import resolve
from tests.examples import examples
from tests.property.strategies import specs

PORTS = ["443/tcp", "1-1000/tcp", ["1-499/tcp", "500-1000/tcp"], "53/udp"]
EXCEPTIONS = [{"ports": "443/tcp"}, {"to": "192.0.2.0/25"}, {"from": "10.0.0.7"}]
ISP = {"interface": "wan0", "addresses": "203.0.113.2", "nextHop": "203.0.113.1", "routed": "198.18.1.0/28"}
STATIC = {"host": {"address": "10.0.0.7", "as": "198.18.1.5"}}


def gateway(spec: GatewaySpec) -> ResolvedGateway:
    facts = assume_working(spec)
    topology = resolve("gw", spec, facts)

    def machine() -> Machine:
        return machine_of(topology, desired_state(topology), facts)

    return ResolvedGateway(spec, topology, machine)


@settings(max_examples=examples(30))
@given(specs(), st.booleans())
def test_all_is_well_on_a_plain_gateway(spec: GatewaySpec, plainer: bool) -> None:
    if plainer:
        kept = tuple(rule for rule in spec.source_nat if not (rule.as_.unchanged or rule.in_))
        guards = spec.guards.model_copy(update={"anti_spoof": "local"})
        spec = spec.model_copy(update={"source_nat": kept, "guards": guards})
    found = gateway(spec)
    if not is_plain(found):
        return
    of_walks = {result.name: result for result in check(found, thorough=True)}
    for result in check(replace(found, make_machine=_never)):
        assert result.findings == of_walks[result.name].findings
        assert not of_walks[result.name].unknown


def _never() -> Machine:
    raise AssertionError("walked")


@st.composite
def rules(draw: st.DrawFn) -> tuple[SourceNat, ...]:
    """That have much in common, so that some hide others."""
    found = []
    for number in range(draw(st.integers(2, 5))):
        rule: dict[str, object] = {"name": f"r{number}", "as": "isp-a"}
        if draw(st.booleans()):
            rule["from"] = draw(st.sampled_from(["10.0.0.0/16", "10.0.0.0/9", "10.0.0.7", "10.0.128.0/17"]))
        if draw(st.booleans()):
            rule["to"] = draw(st.sampled_from(["192.0.0.0/8", "192.0.2.0/24", ["192.0.0.0/9", "192.128.0.0/9"]]))
        match draw(st.integers(0, 3)):
            case 0:
                rule["protocol"] = draw(st.sampled_from(["tcp", "udp", "icmp", "gre"]))
            case 1:
                rule["ports"] = draw(
                    st.sampled_from(["443/tcp", "1-1000/tcp", ["1-499/tcp", "500-1000/tcp"], "53/udp"])
                )
        if draw(st.integers(0, 2)) == 0:
            rule["except"] = draw(
                st.sampled_from([{"ports": "443/tcp"}, {"to": "192.0.2.0/25"}, {"from": "10.0.0.7"}])
            )
        found.append(SourceNat.model_validate(rule))
    return tuple(found)


@settings(max_examples=examples(30))
@given(rules(), st.booleans())
def test_a_rule_is_called_dead_exactly_if_no_packet_matches_it(rules: tuple[SourceNat, ...], static: bool) -> None:
    plain = GatewaySpec.model_validate(
        {
            "interfaces": {"lan0": {"networks": "10.0.0.0/9"}},
            "uplinks": {"isp-a": ISP},
            "static": STATIC if static else {},
        }
    )
    found = gateway(plain.model_copy(update={"source_nat": rules}))
    dead = {rules[int(finding.path[2])].name for finding in dead_entries(found)}
    matched = {
        statement.counter
        for walk in Classes(found).leaving
        for step in walk.steps
        if isinstance(step.subject, RuleAt)
        for statement in step.subject.rule
        if isinstance(statement, Count)
    }
    for rule in rules:
        assert (f"snat_{identifier(rule.name)}" in matched) is (rule.name not in dead), rule.name


# --------------------------------------------------------------------------- many questions, one walk

ASKED = st.fixed_dictionaries(
    {},
    optional={
        "from": st.sampled_from(["inside", "outside", "10.0.0.0/24", "192.0.2.7"]),
        "at": st.sampled_from(["192.0.2.0/24", "203.0.113.2", "10.0.0.0/8", "2001:db8::/32"]),
        "ports": st.sampled_from(PORTS),
        "except": st.sampled_from(EXCEPTIONS),
    },
)


@settings(max_examples=examples(12))
@given(specs(), ASKED)
def test_a_walk_that_many_questions_share_says_what_one_alone_says(
    spec: GatewaySpec, asked: dict[str, object]
) -> None:
    assertion = Assertion.model_validate({"name": "asked", "never": "all", **asked})
    classes = Classes(gateway(spec))
    for packets in selected(classes, assertion):
        shared = {(str(walk.verdict), walk.chosen) for walk, _ in classes.ways(packets)}
        assert shared == {(str(walk.verdict), walk.chosen) for walk in classes.walks(packets)}
