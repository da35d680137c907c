"""Foreign FIB rules behind the gateway's: which of them stage 2 follows, and the notes about the others."""

from __future__ import annotations

import pytest

from nvi_operator.kinds.fib_rule import FIB_RULE
from nvi_operator.language.load.loader import load_texts
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts, ForeignRule, RouteTableFact
from nvi_operator.topology.faults import faults
from nvi_operator.topology.foreign_rules import judge_rules
from nvi_operator.topology.numbers import Priorities
from nvi_operator.topology.resolve import resolve

SPEC = """
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces:
    lan0: { networks: [192.168.1.0/24] }
    mesh0: { networks: [100.64.0.0/10] }
  uplinks:
    isp: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2 }
"""
MESH = RouteTableFact(specific=True, ways=("mesh0",))
TUNNEL = RouteTableFact(default=("wg0",))
KILL_SWITCH = RouteTableFact(specific=True, ways=("mesh0",), refuses=True)


def rule(priority: int = 5270, table: int = 52, **more: object) -> FibRule:
    return FibRule(4, priority, "lookup", table, **more)  # type: ignore[arg-type]


def leading(*facts: ForeignRule, text: str = SPEC) -> list[FibRule]:
    """The rules of the gateway that lead to a table of others."""
    spec = load_texts({"edge.yaml": text}).spec
    given = assume_missing(spec, Facts("host", rules=facts))
    found = [rule for rule in FIB_RULE.desired(resolve("edge", spec, given)) if rule.table in (52, 53)]
    return sorted(found, key=lambda rule: rule.priority)


def asked(*facts: ForeignRule, text: str = SPEC) -> list[str]:
    """Those of stage 2 and of the gateway's own packets."""
    return [str(rule) for rule in leading(*facts, text=text) if rule.priority > Priorities(1000).steer_uplinks]


def asked_for_one_pass(*facts: ForeignRule) -> list[str]:
    return [str(rule) for rule in leading(*facts) if rule.priority < Priorities(1000).steer_uplinks]


def reported(*facts: ForeignRule, text: str = SPEC) -> list[str]:
    return [
        str(not_honoured)
        for not_honoured in judge_rules(load_texts({"edge.yaml": text}).spec, Facts("", rules=facts))[1]
    ]


STAGE_2 = "fwmark 0x80000000/0x80000000"
NARROW = "suppress_prefixlength 0 suppress_ifgroup 78"


def test_the_networks_in_a_table_of_others_are_asked_for_before_the_uplinks() -> None:
    assert asked(ForeignRule(rule(), MESH)) == [
        f"pref 1480 {STAGE_2} lookup 52 {NARROW}",
        "pref 1505 to 100.64.0.0/10 iif lo lookup 52 suppress_prefixlength 0",
        "pref 1505 to 192.168.1.0/24 iif lo lookup 52 suppress_prefixlength 0",
    ]
    assert reported(ForeignRule(rule(), MESH)) == []


def test_what_uplinks_bring_and_answers_to_what_others_translate_ask_for_them_as_well() -> None:
    before, behind = ForeignRule(rule(), MESH), ForeignRule(rule(40000, 53), MESH)
    assert asked_for_one_pass(before, behind) == [
        f"pref 1050 fwmark 0x40000000/0xc000ff00 lookup 52 {NARROW}",
        f"pref 1050 iif wan0 fwmark 0x0/0x80000000 lookup 52 {NARROW}",
        f"pref 1071 fwmark 0x40000000/0xc000ff00 lookup 53 {NARROW}",
        f"pref 1071 iif wan0 fwmark 0x0/0x80000000 lookup 53 {NARROW}",
    ]


def test_several_are_asked_in_the_kernels_order_around_main() -> None:
    rules = [ForeignRule(rule(priority, table), MESH) for priority, table in ((5270, 52), (5280, 53), (40000, 52))]
    assert [words.split()[1] for words in asked(*rules) if "iif" not in words] == ["1480", "1481", "1501"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"destination": "10.9.0.0/16"}, "to 10.9.0.0/16 fwmark"),
        ({"iif": "mesh0"}, "iif mesh0 fwmark"),
        ({"inverted": True, "mark": 0xCA6C, "mask": 0xFFFFFFFF}, f"pref 1480 {STAGE_2}"),
    ],
    ids=["destination", "in-interface", "all but a tunnel's own packets"],
)
def test_conditions_are_kept(more: dict[str, object], words: str) -> None:
    assert words in asked(ForeignRule(rule(**more), MESH))[0]


def test_marks_of_others_count_where_they_are_kept() -> None:
    marked = ForeignRule(rule(mark=0x1, mask=0xFF), MESH)
    assert asked(marked) == []
    assert "their mark is the gateway's by then (dataplane: {keepMarks: true} keeps it)" in reported(marked)[0]
    kept = SPEC.replace("spec:\n", "spec:\n  dataplane: { keepMarks: true }\n")
    assert "fwmark 0x80000001/0x800000ff" in asked(marked, text=kept)[0]


@pytest.mark.parametrize(
    "fact",
    [
        ForeignRule(rule(priority=900), MESH),
        ForeignRule(rule(), RouteTableFact()),
        ForeignRule(rule(table=254), RouteTableFact()),
        ForeignRule(rule(iif="lo"), MESH),
        ForeignRule(rule(oif="mesh0"), MESH),
        ForeignRule(rule(other=("uidrange 7-7",)), MESH),
        ForeignRule(rule(source="203.0.113.2/32"), TUNNEL),
        ForeignRule(rule(iif="eth7"), TUNNEL),
        ForeignRule(FibRule(4, 5250, "unreachable", mark=0x80000, mask=0xFF0000), RouteTableFact()),
    ],
    ids=[
        "before the gateway's",
        "an empty table",
        "main",
        "the host's own packets",
        "by out-interface",
        "by user",
        "by an uplink's address",
        "from an interface that is not in the spec",
        "a mark that inside hosts do not have",
    ],
)
def test_rules_that_do_not_concern_inside_hosts_are_neither_followed_nor_reported(fact: ForeignRule) -> None:
    assert [words for words in asked(fact) if "pref 14" in words] == []
    assert reported(fact) == []


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (
            ForeignRule(rule(inverted=True, mark=0xCA6C, mask=0xFFFFFFFF), TUNNEL),
            "has a default route by wg0, which packets of inside hosts do not take",
        ),
        (ForeignRule(rule(), KILL_SWITCH), "its table ends in a route that refuses"),
        (ForeignRule(rule(protocol="tcp"), MESH), "ipproto matches the original packet only"),
        (ForeignRule(rule(other=("attribute 77 0x01",)), MESH), "attribute matches the original"),
        (ForeignRule(rule(source="192.168.1.7/32"), TUNNEL), "{name: NAME, from: 192.168.1.7/32, as: NAME}"),
        (ForeignRule(FibRule(4, 6000, "unreachable"), RouteTableFact()), "would refuse packets of inside hosts"),
        (
            ForeignRule(FibRule(4, 32765, "lookup", 100, mark=1, mask=0xFFFFFFFF), RouteTableFact(delivers=True)),
            "would hand packets of inside hosts to this host",
        ),
        (
            ForeignRule(rule(), RouteTableFact(specific=True, ways=("mesh9",))),
            "leads to mesh9, which the spec does not name",
        ),
    ],
    ids=[
        "full tunnel",
        "kill switch",
        "protocol",
        "unknown",
        "one host by a tunnel",
        "a refusal",
        "tproxy",
        "undeclared",
    ],
)
def test_what_a_rule_would_have_done_is_noted(fact: ForeignRule, words: str) -> None:
    (text,) = reported(fact)
    assert words in text
    assert text.startswith("ip rule: pref ")


def test_more_rules_than_there_is_room_for_are_named() -> None:
    facts = [ForeignRule(rule(6000 + number), MESH) for number in range(22)]
    assert len([words for words in asked(*facts) if "iif" not in words]) == 20
    assert len(reported(*facts)) == 2


STRONGSWAN = ForeignRule(FibRule(4, 220, "lookup", 220), RouteTableFact(specific=True, ways=("wan0",)))


@pytest.mark.parametrize(("dataplane", "notes"), [("{}", 1), ("{ipsec: true}", 0)])
def test_networks_that_a_rule_takes_before_the_gateway_are_noted_unless_ipsec_is_meant_to(
    dataplane: str, notes: int
) -> None:
    text = SPEC.replace("spec:\n", f"spec:\n  dataplane: {dataplane}\n")
    spec = load_texts({"edge.yaml": text}).spec
    facts = assume_missing(spec, Facts("edge", rules=(STRONGSWAN,)))
    topology = resolve("edge", spec, facts)
    assert sum("pref 220" in note for note in topology.notes) == notes
    assert topology.bypassed_by == ()


@pytest.mark.parametrize(
    ("taken", "table", "bypassed"),
    [
        (FibRule(4, 500, "lookup", 9), TUNNEL, ["ip rule: pref 500 lookup 9"]),
        (FibRule(4, 500, "lookup", 9), RouteTableFact(delivers=True), ["ip rule: pref 500 lookup 9"]),
        (FibRule(4, 500, "lookup", 254), RouteTableFact(), ["ip rule: pref 500 lookup main"]),
        (FibRule(4, 100, "lookup", 255), RouteTableFact(), []),
        (FibRule(6, 500, "lookup", 9), TUNNEL, []),
    ],
    ids=["a full tunnel", "to the host itself", "main", "local, moved", "a family that no inside network has"],
)
def test_a_rule_before_the_gateway_that_takes_every_packet_is_a_fault(
    taken: FibRule, table: RouteTableFact, bypassed: list[str]
) -> None:
    spec = load_texts({"edge.yaml": SPEC}).spec
    facts = assume_missing(spec, Facts("edge", rules=(ForeignRule(taken, table),)))
    found = faults(spec, resolve("edge", spec, facts))
    assert [text.partition(": comes before")[0] for text in found if "matches every packet" in text] == bypassed
