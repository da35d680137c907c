"""Checks of foreign nft rules, on rulesets made by hand, above all those that must not alarm."""

from __future__ import annotations

from typing import Any

import pytest

from nvi_operator.nft.wire.tables import IngressChain, NftTableFact
from tests.unit.doctor.nftjson import ACCEPT, DROP, MARK, STATE, chain, jump, match, meta, payload, set_mark, table
from tests.unit.doctor.surveys import found, levels, spec, survey

PRE: dict[str, Any] = {"hook": "prerouting", "prio": -150}
FWD: dict[str, Any] = {"hook": "forward", "prio": 0}
ZONE = {"mangle": {"key": {"ct": {"key": "zone"}}, "value": 7}}
CT_MARK: dict[str, Any] = {"ct": {"key": "mark"}}
QUEUE: dict[str, Any] = {"queue": {"num": 0}}
STAGE = 1 << 31
OUR_BIT = match({"&": [MARK, STAGE]}, 0, "!=")
RETURN: dict[str, Any] = {"return": None}


@pytest.mark.parametrize(
    ("topic", "rules", "expected"),
    [
        pytest.param("mark-write", [[set_mark(5)]], ["problem"], id="whole mark"),
        pytest.param("mark-write", [[set_mark({"|": [MARK, 0x4000]})]], [], id="Kubernetes sets a bit"),
        pytest.param("mark-write", [[set_mark(CT_MARK)]], [], id="restoring stops in stage 2"),
        pytest.param("mark-write", [[match(STATE, "new", "in"), set_mark(5)]], [], id="new flows only"),
        pytest.param("mark-write", [[OUR_BIT, RETURN], [set_mark(5)]], [], id="stage 2 is spared"),
        pytest.param("mark-write", [[meta("iifname", "lan0"), set_mark(5)]], ["problem"], id="from lan0"),
        pytest.param("mark-write", [[meta("iifname", "eth9"), set_mark(5)]], [], id="from elsewhere"),
        pytest.param("mark-write", [[payload("udp", "dport", 5060), set_mark(5)]], ["warning"], id="some packets"),
        pytest.param("mark-write", [[jump("sub")]], ["problem"], id="in a chain that is jumped to"),
        pytest.param("mark-write", [[set_mark({"|": [MARK, STAGE]})]], ["problem"], id="sets the stage bit"),
        pytest.param("mark-write", [[meta("iifname", "wg0"), set_mark({"|": [MARK, STAGE]})]], [], id="foreign"),
        pytest.param("mark-match", [[match({"&": [MARK, 0xFF0000]}, 0x40000), ACCEPT]], [], id="Tailscale reads"),
        pytest.param("mark-match", [[match({"&": [MARK, 0xFFFF0000]}, 1 << 16)]], ["warning"], id="Calico reads"),
        pytest.param("mark-match", [[OUR_BIT, ACCEPT]], [], id="written for the gateway"),
        pytest.param("mark-match", [[meta("mark", 5), ACCEPT]], [], id="the whole mark"),
        pytest.param("mark-match", [[meta("mark", STAGE | 5), ACCEPT]], ["warning"], id="with the stage bit"),
        pytest.param("zone", [[ZONE]], ["problem"], id="zone"),
        pytest.param("zone", [[OUR_BIT, RETURN], [ZONE]], [], id="zone, stage 2 is spared"),
        pytest.param("zone", [[payload("ip", "saddr", "10.0.0.1"), ZONE]], ["warning"], id="zone of some"),
        pytest.param("notrack", [[{"notrack": None}]], ["problem"], id="notrack"),
        pytest.param("notrack", [[meta("iifname", "lo"), {"notrack": None}]], [], id="notrack on loopback"),
        pytest.param("notrack", [[payload("udp", "dport", 4789), {"notrack": None}]], [], id="notrack of VXLAN"),
    ],
)  # fmt: skip
def test_foreign_rules_before_routing_are_found(topic: str, rules: list[Any], expected: list[str]) -> None:
    objects = table(chain("pre", *rules, **PRE), chain("sub", [set_mark(5)]))
    assert levels(topic, survey(nft_objects=objects), spec()) == expected


@pytest.mark.parametrize(
    ("stored", "restored", "expected"),
    [
        pytest.param(STAGE | 1, CT_MARK, ["warning"], id="whole"),
        pytest.param({"map": {"data": {"set": [[0, STAGE | 1], [1, STAGE | 2]]}}}, CT_MARK, ["warning"], id="nftlb"),
        pytest.param(STAGE | 1, {"&": [CT_MARK, 0xFF]}, [], id="its other bits"),
        pytest.param(7, CT_MARK, [], id="other bits"),
    ],
)  # fmt: skip
def test_a_connection_mark_with_the_stage_bit_is_found_where_it_is_restored(
    stored: Any, restored: Any, expected: list[str]
) -> None:
    store = [{"mangle": {"key": CT_MARK, "value": stored}}]
    objects = table(chain("pre", [set_mark(restored)], store, **PRE))
    assert levels("mark-write", survey(nft_objects=objects), spec()) == expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([[QUEUE]], ["each packet twice"]),
        ([[{"xt": {"type": "target", "name": "NFQUEUE"}}]], ["each packet twice"]),
        ([[match({"&": [MARK, STAGE]}, 0), QUEUE]], []),
        ([[OUR_BIT, RETURN], [QUEUE]], []),
        ([[OUR_BIT, QUEUE]], ["one direction of a connection translated"]),
        ([[match(STATE, "new", "in"), QUEUE]], []),
        ([[meta("iifname", "eth9"), QUEUE]], []),
    ],
)
def test_a_program_that_is_handed_packets_of_stage_2_is_named(rules: list[Any], expected: list[str]) -> None:
    """As Suricata inline: with each packet twice published servers are cut off, with stage 2 alone everything is."""
    findings = found("queue", survey(nft_objects=table(chain("fwd", *rules, **FWD))), spec())
    assert [phrase for finding in findings for phrase in expected if phrase in finding.what] == expected
    assert len(findings) == len(expected)
    assert all(
        finding.todo == "nft 'insert rule inet t fwd meta mark & 0x80000000 != 0 return'" for finding in findings
    )


def test_a_mark_set_behind_routing_is_no_matter() -> None:
    for hook in ("forward", "postrouting", "input"):
        objects = table(chain("c", [set_mark(5)], [set_mark({"|": [MARK, STAGE]})], hook=hook))
        assert levels("mark-write", survey(nft_objects=objects), spec()) == []


def test_the_gateways_own_packets_must_not_bear_the_local_bit() -> None:
    rule = [set_mark({"|": [MARK, 1 << 30]})]
    objects = table(chain("c", rule, hook="output", prio=-150, type_="route"))
    assert levels("mark-write", survey(nft_objects=objects), spec()) == ["warning"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param([meta("l4proto", {"set": ["tcp", "udp"]})], ["problem"], id="everything"),
        pytest.param([meta("oifname", "nvi0", "!=")], [], id="all but stage 1"),
    ],
)
def test_a_flowtable_is_found_where_it_takes_packets_of_the_gateway(rule: list[Any], expected: list[str]) -> None:
    flow = [*rule, {"flow": {"op": "add", "flowtable": "@ft"}}]
    ft = [{"flowtable": {"name": "ft", "hook": "ingress", "prio": 0, "dev": ["lan0", "wan0"]}}]
    assert levels("flowtable", survey(nft_objects=table(ft, chain("c", flow, **FWD))), spec()) == expected


@pytest.mark.parametrize("xt", [None, {"type": "target", "name": "MARK"}])
def test_targets_of_iptables_that_nft_does_not_show(xt: Any) -> None:
    objects = table(chain("PREROUTING", [{"xt": xt}], **PRE), family="ip", name="mangle")
    (finding,) = found("iptables-opaque", survey(nft_objects=objects))
    assert "iptables -t mangle -S" in finding.todo


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param([{"xt": None}, ACCEPT], id="a match before a verdict"),
        pytest.param([{"xt": {"type": "target", "name": "TCPMSS"}}], id="a target that touches no mark"),
    ],
)
def test_iptables_rules_that_cannot_matter(rule: list[Any]) -> None:
    objects = table(chain("PREROUTING", rule, **PRE), family="ip", name="mangle")
    assert found("iptables-opaque", survey(nft_objects=objects)) == []


@pytest.mark.parametrize(
    ("priority", "rule", "expected"),
    [
        pytest.param(80, [{"masquerade": None}], ["warning"], id="before"),
        pytest.param(100, [{"masquerade": None}], [], id="after"),
        pytest.param(80, [meta("oifname", "tun0"), {"masquerade": None}], [], id="for another interface"),
        pytest.param(80, [payload("ip", "saddr", "10.9.0.1"), {"masquerade": None}], [], id="for another source"),
        pytest.param(80, [ACCEPT], [], id="translates nothing"),
    ],
)
def test_nat_before_the_gateways(priority: int, rule: list[Any], expected: list[str]) -> None:
    objects = table(chain("nat", rule, hook="postrouting", prio=priority, type_="nat"), family="ip")
    assert levels("nat-order", survey(nft_objects=objects), spec()) == expected


DOCKER = table(
    chain(
        "PREROUTING",
        [payload("ip", "daddr", "172.17.0.2"), meta("iifname", "docker0", "!="), DROP],
        hook="prerouting",
        prio=-300,
    ),
    family="ip",
    name="raw",
)


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        pytest.param({}, "warning", id="not used"),
        pytest.param({"forwards": {"web": {"ports": "80/tcp", "to": "172.17.0.2"}}}, "problem", id="forward"),
        pytest.param(
            {"forwards": {"web": {"ports": "80/tcp", "to": "172.17.0.3"}}}, "warning", id="another container"
        ),
        pytest.param({"interfaces": {"docker0": {"networks": "172.17.0.0/16"}}}, "problem", id="the bridge itself"),
        pytest.param({"static": {"c": {"address": "172.17.0.2", "as": "203.0.113.9"}}}, "problem", id="1:1"),
    ],
)
def test_drops_in_dockers_raw_table_are_found(sections: dict[str, Any], expected: str) -> None:
    assert levels("raw-drop", survey(nft_objects=DOCKER), spec(**sections)) == [expected]


def test_an_owned_table_is_said_to_be_one() -> None:
    objects = table(chain("filter_FORWARD", [DROP], **FWD), name="firewalld")
    owned = [{"table": {**objects[0]["table"], "flags": ["owner", "persist"]}}, *objects[1:]]
    (finding,) = found("forward-drop", survey(nft_objects=tuple(owned)), spec())
    assert "NftablesTableOwner=no" in finding.todo


def test_a_spec_less_diagnosis_accepts_a_firewall_that_names_us() -> None:
    rules = [
        [meta("iifname", "lan0"), meta("oifname", "nvi0"), ACCEPT],
        [meta("iifname", "lan0"), match(STATE, "untracked", "in"), ACCEPT],
        [match(STATE, {"set": ["established"]}), ACCEPT],
    ]
    objects = table(chain("c", *rules, policy="drop", **FWD))
    assert levels("forward-drop", survey(nft_objects=objects)) == []
    assert levels("forward-drop", survey(nft_objects=objects), spec()) == ["problem"], "replies come in by wan0"


FROM_INSIDE: dict[str, Any] = {"sourceNat": [{"name": "all", "as": "isp-a"}]}
PUBLISHED: dict[str, Any] = {"forwards": {"web": {"ports": "443/tcp", "to": "192.168.1.80"}}}


@pytest.mark.parametrize(
    ("sections", "into", "out_of", "expected"),
    [
        pytest.param(PUBLISHED, [443], None, [], id="requests to a server, and its replies"),
        pytest.param(FROM_INSIDE, [443], None, ["wan0 -> lan0, wan1 -> lan0"], id="replies to clients are dropped"),
        pytest.param(FROM_INSIDE, [{"range": [1024, 65535]}], [443], [], id="replies to clients"),
        pytest.param(PUBLISHED, [443], [443], ["lan0 -> wan0, lan0 -> wan1"], id="replies of the server are dropped"),
        pytest.param(FROM_INSIDE, [{"set": [22, 443]}], None, ["wan0 -> lan0, wan1 -> lan0"], id="a set of ports"),
    ],
)
def test_a_firewall_that_lets_in_some_ports_drops_the_replies_of_stage_2(
    sections: dict[str, Any], into: list[Any], out_of: list[Any] | None, expected: list[str]
) -> None:
    """Its rule for established connections does not hold in stage 2, which conntrack does not know."""
    rules: list[list[Any]] = [
        [match(STATE, {"set": ["established", "related"]}), ACCEPT],
        [meta("oifname", "nvi0"), ACCEPT],
        *([meta("iifname", f"wan{n}"), payload("tcp", "dport", port), ACCEPT] for port in into for n in (0, 1)),
        *([meta("iifname", "lan0"), payload("tcp", "dport", port), ACCEPT] for port in out_of or []),
        *([] if out_of else [[meta("iifname", "lan0"), ACCEPT]]),
    ]
    objects = table(chain("c", *rules, policy="drop", **FWD))
    drops = found("forward-drop", survey(nft_objects=objects), spec(**sections))
    assert [drop.what.partition("stage 2 (untracked): ")[2].partition(", by")[0] for drop in drops] == expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param(
            [[{"xt": {"type": "match", "name": "set"}}, ACCEPT]], ["warning"], id="an accept that nft cannot show"
        ),
        pytest.param([[meta("oifname", "docker0"), {"xt": None}, ACCEPT]], ["problem"], id="but not the gateway's"),
        pytest.param([[{"xt": None}, ACCEPT], [payload("tcp", "dport", 443), ACCEPT]], [], id="and one that can be"),
        pytest.param([[{"xt": None}, ACCEPT], [DROP]], ["warning"], id="before a last rule"),
    ],
)
def test_drops_that_an_extension_of_iptables_might_prevent(rules: list[Any], expected: list[str]) -> None:
    objects = table(chain("FORWARD", *rules, policy="drop", **FWD), family="ip", name="filter")
    assert levels("forward-drop", survey(nft_objects=objects), spec()) == expected


def test_commands_for_tables_of_iptables_are_of_iptables() -> None:
    objects = table(chain("PREROUTING", [set_mark(5)], **PRE), family="ip6", name="mangle")
    (finding,) = found("mark-write", survey(nft_objects=objects))
    assert finding.todo.splitlines() == [
        "ip6tables -t mangle -I PREROUTING -m mark --mark 0x80000000/0x80000000 -j RETURN",
        "# or in that rule: -j MARK --set-xmark 0x5/0x3fffffff",
    ]


@pytest.mark.parametrize("missing", [False, "0"])
def test_a_reverse_path_filter_of_iptables_or_nft(missing: Any) -> None:
    rule = [match({"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, missing), DROP]
    objects = table(chain("PREROUTING", rule, hook="prerouting", prio=-300), family="ip6", name="raw")
    assert levels("reverse-path-drop", survey(nft_objects=objects), spec()) == ["problem"]


def test_a_dormant_table_is_named_and_its_rules_are_not_judged() -> None:
    objects = table(chain("forward", **FWD, policy="drop"), name="fw")
    awake = survey(nft_objects=objects, nft_tables=(NftTableFact("inet", "fw"),))
    asleep = survey(nft_objects=objects, nft_tables=(NftTableFact("inet", "fw", frozenset({"dormant"})),))
    assert levels("forward-drop", awake, spec()) == ["problem"]
    assert levels("forward-drop", asleep, spec()) == []
    (finding,) = found("nft-tables", asleep, spec())
    assert "table inet fw is dormant" in finding.what


def test_an_owned_table_is_named_and_who_may_change_it() -> None:
    owned = survey(nft_tables=(NftTableFact("inet", "firewalld", frozenset({"owner", "persist"}), 4711),))
    (finding,) = found("nft-tables", owned)
    assert "netlink port 4711" in finding.what


def test_a_chain_at_no_device_is_named() -> None:
    chains = (
        IngressChain("netdev", "ddos", "wan", ("wan0",)),
        IngressChain("netdev", "ddos", "gone", ("wan7",)),
        IngressChain("netdev", "ddos", "none", ()),
        IngressChain("inet", "ddos", "any", ("wan*",)),
    )
    findings = found("nft-ingress", survey(nft_ingress=chains))
    assert [finding.what.split(":")[0] for finding in findings] == [
        "chain netdev ddos gone is at wan7, not found here",
        "chain netdev ddos none is at no device",
    ]
