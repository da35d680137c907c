"""How a packet's walk through a foreign base chain may end."""

from __future__ import annotations

from typing import Any

import pytest

from nvi_operator.doctor.packet import PartialPacket
from nvi_operator.doctor.ruleset import parse_ruleset
from nvi_operator.doctor.walk import walk
from tests.unit.doctor.nftjson import ACCEPT, DROP, STATE, chain, jump, match, meta, payload, table

STAGE_1 = PartialPacket(4, 1, "nvi0", 1 << 31, "lan0", "nvi0", "new", "tcp", dnat=False)
STAGE_2 = PartialPacket(4, 2, "nvi0", 1 << 31, "wan0", "lan0", "untracked", "tcp")
REJECT: dict[str, Any] = {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}


def certainly_dropped(packet: PartialPacket, *chains: Any, policy: str = "accept") -> bool:
    """Is the packet certainly dropped? The first chain is the base chain."""
    (head, *rules), *others = chains
    head = {"chain": {**head["chain"], "type": "filter", "hook": "forward", "prio": 0, "policy": policy}}
    ruleset = parse_ruleset(table([head, *rules], *others))
    (base,) = ruleset.base_chains("forward")
    return walk(ruleset, base, packet).dropped


@pytest.mark.parametrize(
    ("rule", "stage_1", "stage_2"),
    [
        pytest.param([DROP], True, True, id="everything"),
        pytest.param([match(STATE, ["invalid", "untracked"], "in"), DROP], False, True, id="untracked"),
        pytest.param([match(STATE, "invalid", "in"), DROP], False, False, id="invalid is not untracked"),
        pytest.param([match(STATE, {"set": ["established", "new"]}, "!="), DROP], False, True, id="all but these"),
        pytest.param([match(STATE, "invalid", "!"), DROP], True, True, id="not invalid"),
        pytest.param(
            [{"vmap": {"key": STATE, "data": {"set": [["new", ACCEPT], ["untracked", DROP]]}}}],
            False,
            True,
            id="by a verdict map",
        ),
        pytest.param([{"vmap": {"key": STATE, "data": "@named"}}], False, False, id="a named map that was not read"),
        pytest.param([meta("oifname", "nvi0"), DROP], True, False, id="the device"),
        pytest.param([meta("oifname", "nvi*"), DROP], True, False, id="the device by a wildcard"),
        pytest.param([meta("iifname", {"set": ["wan0", "wan1"]}), DROP], False, True, id="an interface in a set"),
        pytest.param([meta("iifname", "lan0", "!="), DROP], False, True, id="another interface"),
        pytest.param([meta("mark", {"prefix": {"addr": 1 << 31, "len": 1}}), DROP], False, True, id="stage bit"),
        pytest.param(
            [match({"&": [{"meta": {"key": "mark"}}, 1 << 31]}, 0), DROP], True, False, id="stage bit is not set"
        ),
        pytest.param([meta("mark", 5), DROP], False, False, id="a mark that may be"),
        pytest.param([payload("ip6", "saddr", "2001:db8::1"), DROP], False, False, id="the other family"),
        pytest.param([payload("ip", "saddr", "192.0.2.1"), DROP], False, False, id="an address that may be"),
        pytest.param([payload("udp", "dport", 53), DROP], False, False, id="another protocol"),
        pytest.param([match({"ct": {"key": "mark"}}, 1, "!="), DROP], False, False, id="needs a conntrack entry"),
        pytest.param([match({"ct": {"key": "status"}}, "dnat", "!"), DROP], True, False, id="not translated"),
        pytest.param([{"xt": None}, DROP], False, False, id="a match that nft does not print"),
        pytest.param([{"xt": {"type": "target", "name": "REJECT"}}], True, True, id="a target that it does"),
        pytest.param([{"xt": None}], False, False, id="a target that it does not"),
        pytest.param([{"counter": {"packets": 1}}], False, False, id="counts only"),
        pytest.param(
            [match({"concat": [{"meta": {"key": "iifname"}}, {"meta": {"key": "oifname"}}]}, {"set": [
                {"concat": ["wan0", "lan0"]}]}), DROP],
            False,
            True,
            id="a pair of interfaces",
        ),
    ],
)  # fmt: skip
def test_a_rule_drops_the_packets_of_a_stage_for_certain_or_not(
    rule: list[Any], stage_1: bool, stage_2: bool
) -> None:
    assert certainly_dropped(STAGE_1, chain("c", rule)) == stage_1
    assert certainly_dropped(STAGE_2, chain("c", rule)) == stage_2


def test_a_policy_drops_what_no_rule_accepts() -> None:
    established = [match(STATE, {"set": ["established", "related"]}), ACCEPT]
    assert certainly_dropped(STAGE_2, chain("c", established), policy="drop")
    assert not certainly_dropped(STAGE_2, chain("c", established, [meta("iifname", "wan0"), ACCEPT]), policy="drop")


def test_jumps_return_and_gotos_do_not() -> None:
    empty = chain("sub", [meta("iifname", "other"), ACCEPT])
    assert certainly_dropped(STAGE_2, chain("c", [jump("sub")], [REJECT]), empty)
    assert not certainly_dropped(STAGE_2, chain("c", [{"goto": {"target": "sub"}}], [REJECT]), empty)
    assert certainly_dropped(STAGE_2, chain("c", [jump("sub")], [ACCEPT]), chain("sub", [DROP]))


def test_return_leaves_the_rest_of_a_chain_out() -> None:
    sub = chain("sub", [meta("iifname", "wan0"), {"return": None}], [DROP])
    assert not certainly_dropped(STAGE_2, chain("c", [jump("sub")]), sub)
    assert certainly_dropped(STAGE_1, chain("c", [jump("sub")]), sub)
    assert certainly_dropped(STAGE_2, chain("c", [{"return": None}]), policy="drop")


def test_a_packet_that_may_be_accepted_is_not_certainly_dropped() -> None:
    https = [payload("tcp", "dport", 443), ACCEPT]
    assert not certainly_dropped(STAGE_1, chain("c", https, [DROP]))
    assert certainly_dropped(STAGE_1, chain("c", [payload("icmp", "type", "echo-request"), ACCEPT], [DROP]))


def test_rules_after_a_possible_end_are_met_but_not_for_certain() -> None:
    ruleset = parse_ruleset(
        table(chain("c", [payload("tcp", "dport", 22), ACCEPT], [DROP], hook="forward"), name="x")
    )
    (base,) = ruleset.base_chains("forward")
    assert [certain for _, certain in walk(ruleset, base, STAGE_1).met] == [False, False]
