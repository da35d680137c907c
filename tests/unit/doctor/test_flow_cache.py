"""What keeps the flow cache off: each statement and match of nft, and everything else of a host that sees packets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nvi_operator.doctor.flow_cache import blockers
from nvi_operator.doctor.footprint import footprint
from nvi_operator.doctor.survey import FilterFact, Survey, TcxFact
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.nft.wire.tables import IngressChain
from nvi_operator.topology.blockers import Blocker
from tests.unit.doctor.nftjson import ACCEPT, DROP, MARK, STATE, chain, jump, match, meta, payload, set_mark, table
from tests.unit.doctor.surveys import link, spec, survey

Rule = list[dict[str, Any]]
SPEC = spec(interfaces={"lan0": {"networks": ["192.168.1.0/24"]}, "lan1": {"networks": ["192.168.2.0/24"]}})
COUNTER: dict[str, Any] = {"counter": {"packets": 0, "bytes": 0}}
LOG: dict[str, Any] = {"log": {"prefix": "seen "}}
LIMIT: dict[str, Any] = {"limit": {"rate": 10, "per": "second"}}
SOURCE = {"payload": {"protocol": "ip", "field": "saddr"}}
MSS = {"tcp option": {"name": "maxseg", "field": "size"}}
RANDOM = {"numgen": {"mode": "random", "mod": 2}}
FLAGS = {"payload": {"protocol": "tcp", "field": "flags"}}
ESTABLISHED = match(STATE, ["established", "related"], "in")


def found(of: Survey, gateway: GatewaySpec = SPEC) -> tuple[Blocker, ...]:
    return blockers(of, footprint(gateway))


def reasons(*chains: Any, **more: Any) -> list[str]:
    """Of a table whose chains these are."""
    return [blocker.reason for blocker in found(survey(nft_objects=table(*chains, **more)))]


def by_rule(*statements: dict[str, Any], hook: str = "forward", policy: str = "accept") -> list[str]:
    """Of a base chain with this one rule."""
    return reasons(chain("c", list(statements), hook=hook, policy=policy))


# The same rows as in docs/how-to/flow-cache.md; a test compares them.
STATEMENTS: list[tuple[str, Rule, str | None]] = [
    ("accept", [ACCEPT], None),
    ("drop", [DROP], None),
    ("reject", [payload("tcp", "dport", 25), {"reject": None}], None),
    ("counter", [COUNTER], "counter"),
    ("a named counter", [{"counter": "web"}], "counter"),
    ("limit", [LIMIT, ACCEPT], "limit"),
    ("limit over", [{"limit": {"rate": 10, "per": "second", "inv": True}}, DROP], "limit"),
    ("quota", [{"quota": {"val": 10, "inv": True}}, DROP], "quota"),
    ("log", [LOG], "log"),
    ("queue", [{"queue": {"num": 1}}], "queue"),
    ("dup", [{"dup": {"addr": "192.0.2.1"}}], "dup"),
    ("synproxy", [{"synproxy": {"mss": 1460}}], "synproxy"),
    ("ct helper", [{"ct helper": "ftp"}], "helper"),
    ("ct timeout of a name that is not listed", [{"ct timeout": "short"}], "conntrack_timeout"),
    ("ct expectation", [{"ct expectation": "e"}], "helper"),
    ("ct count", [{"ct count": {"val": 20, "inv": True}}, DROP], "connlimit"),
    ("update of a set", [{"set": {"op": "update", "elem": "x", "set": "@seen"}}], "set_update"),
    ("add to a set", [{"set": {"op": "add", "elem": "x", "set": "@seen"}}], "set_update"),
    ("flow add", [{"flow": {"op": "add", "flowtable": "@f"}}], "flowtable"),
    ("notrack", [{"notrack": None}], None),
    ("tproxy", [payload("tcp", "dport", 80), {"tproxy": {"port": 3128}}], None),
    ("a constant mark", [set_mark(5)], None),
    ("the mark of the connection", [set_mark({"ct": {"key": "mark"}})], None),
    ("a mark by a hash of addresses", [set_mark({"jhash": {"mod": 2, "expr": SOURCE}})], None),
    ("another mark for every packet", [set_mark({"numgen": {"mode": "inc", "mod": 2}})], "mark"),
    ("a constant conntrack mark", [{"mangle": {"key": {"ct": {"key": "mark"}}, "value": 1}}], None),
    ("the conntrack mark of the packet", [{"mangle": {"key": {"ct": {"key": "mark"}}, "value": MARK}}], None),
    ("a random conntrack mark", [{"mangle": {"key": {"ct": {"key": "mark"}}, "value": RANDOM}}], "mark"),
    ("a constant priority", [{"mangle": {"key": {"meta": {"key": "priority"}}, "value": "1:2"}}], None),
    ("DSCP", [{"mangle": {"key": {"payload": {"protocol": "ip", "field": "dscp"}}, "value": "cs1"}}], "rewrite"),
    ("TTL", [{"mangle": {"key": {"payload": {"protocol": "ip", "field": "ttl"}}, "value": 64}}], "rewrite"),
    ("the MSS", [{"mangle": {"key": MSS, "value": {"rt": {"key": "mtu"}}}}], None),
    ("nftrace", [{"mangle": {"key": {"meta": {"key": "nftrace"}}, "value": 1}}], "trace"),
    ("a helper by ct helper set", [{"mangle": {"key": {"ct": {"key": "helper"}}, "value": "ftp"}}], "helper"),
    ("a verdict map of states", [{"vmap": {"key": STATE, "data": {"set": [["established", ACCEPT], ["new", DROP]]}}}],
     None),
    ("a verdict map of lengths", [{"vmap": {"key": {"meta": {"key": "length"}}, "data": {"set": [[100, DROP]]}}}],
     "packet_match"),
    ("an extension of iptables that is not shown", [{"xt": None}], "iptables_extension"),
    ("an extension of iptables by name", [{"xt": {"type": "match", "name": "bpf"}}, DROP], "iptables_extension"),
    ("-m set", [{"xt": {"type": "match", "name": "set"}}, DROP], None),
    ("-m recent", [{"xt": {"type": "match", "name": "recent"}}, DROP], "set_update"),
    ("-j NFQUEUE", [{"xt": {"type": "target", "name": "NFQUEUE"}}], "queue"),
    ("-j TCPMSS", [{"xt": {"type": "target", "name": "TCPMSS"}}], None),
    ("a statement that is not known", [{"teleport": {"to": "moon"}}], "unknown"),
    ("last", [{"last": {"used": 5}}], None),
]  # fmt: skip

MATCHES: list[tuple[str, dict[str, Any], str | None]] = [
    ("an address", payload("ip", "saddr", "192.0.2.1"), None),
    ("addresses in a set", payload("ip", "daddr", "@blocked"), None),
    ("a port", payload("tcp", "dport", {"range": [1, 1024]}), None),
    ("addresses and ports", match({"concat": [SOURCE,
                                              {"payload": {"protocol": "udp", "field": "dport"}}]}, "@both"), None),
    ("an interface", meta("iifname", {"set": ["lan0", "lan1"]}), None),
    ("a protocol", meta("l4proto", "udp"), None),
    ("a mark", meta("mark", 5), None),
    ("the state", ESTABLISHED, None),
    ("the status", match({"ct": {"key": "status"}}, "assured", "in"), None),
    ("the original address", match({"ct": {"key": "ip saddr", "dir": "original"}}, "192.0.2.1"), None),
    ("the route back", match({"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, False), None),
    ("a hash of addresses", match({"jhash": {"mod": 2, "expr": SOURCE}}, 0), None),
    ("a socket", match({"socket": {"key": "transparent"}}, 1), None),
    ("the length", meta("length", {"range": [100, 200]}), "packet_match"),
    ("the length in the header", payload("ip", "length", 1000), "packet_match"),
    ("TTL", payload("ip", "ttl", 1), "packet_match"),
    ("DSCP", payload("ip", "dscp", "ef"), None),
    ("ECN", payload("ip", "ecn", "ce"), "packet_match"),
    ("the payload", match({"payload": {"base": "th", "offset": 160, "len": 32}}, 1), "packet_match"),
    ("a port as raw payload", match({"payload": {"base": "th", "offset": 16, "len": 16}}, 80), None),
    ("the MAC address of the sender", payload("ether", "saddr", "00:00:5e:00:53:01"), "mac_match"),
    ("bytes of the connection", match({"ct": {"key": "bytes"}}, 1000, ">"), "packet_match"),
    ("the time that an entry has left", match({"ct": {"key": "expiration"}}, 5, ">"), "packet_match"),
    ("numgen", match({"numgen": {"mode": "inc", "mod": 10}}, 0), "packet_match"),
    ("the processor", meta("cpu", 1), "packet_match"),
    ("the hour", meta("hour", {"range": ["08:00", "17:00"]}), "time_match"),
    ("the day", meta("day", "Monday"), "time_match"),
    ("a date", meta("time", "2026-01-01 00:00:00", ">"), "time_match"),
    ("a fragment", match({"&": [{"payload": {"protocol": "ip", "field": "frag-off"}}, 0x1FFF]}, 0, "!="), None),
    ("may not be fragmented", match({"&": [{"payload": {"protocol": "ip", "field": "frag-off"}}, 0x4000]}, 0, "!="),
     "packet_match"),
    ("a fragment of IPv6", match({"exthdr": {"name": "frag"}}, True), None),
    ("IP options", match({"ip option": {"name": "rr"}}, True), None),
    ("the MSS", match(MSS, {"range": [1, 500]}), None),
    ("TCP timestamps", match({"tcp option": {"name": "timestamp", "field": "tsval"}}, 5), "packet_match"),
    ("SYN", match(FLAGS, "syn", "in"), None),
    ("SYN alone", match({"&": [FLAGS, ["fin", "syn", "rst", "ack"]]}, "syn"), None),
    ("not SYN alone", match({"&": [FLAGS, ["fin", "syn", "rst", "ack"]]}, "syn", "!="), None),
    ("an Xmas scan", match({"&": [FLAGS, ["fin", "psh", "urg"]]}, ["fin", "psh", "urg"]), None),
    ("a null scan", match(FLAGS, 0), None),
    ("combinations that scans use", match(FLAGS, {"set": [{"|": ["fin", "syn"]}, {"|": ["syn", "rst"]}]}), None),
    ("PSH", match({"&": [FLAGS, ["psh"]]}, "psh"), "packet_match"),
    ("ACK alone", match(FLAGS, "ack"), "packet_match"),
    ("something that is not known", match({"horoscope": {"sign": "aries"}}, 1), "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("statements", "reason"), [pytest.param(s, r, id=name) for name, s, r in STATEMENTS])
def test_a_statement_blocks_if_packets_of_a_flow_matter_one_by_one(statements: Rule, reason: str | None) -> None:
    assert by_rule(*statements) == ([reason] if reason else [])


@pytest.mark.parametrize(("condition", "reason"), [pytest.param(m, r, id=name) for name, m, r in MATCHES])
def test_a_match_blocks_if_it_may_differ_within_a_flow(condition: dict[str, Any], reason: str | None) -> None:
    assert by_rule(condition, DROP) == ([reason] if reason else [])


@pytest.mark.parametrize("hook", ["prerouting", "forward", "postrouting"])
def test_rules_block_where_forwarded_packets_pass(hook: str) -> None:
    assert by_rule(COUNTER, hook=hook) == ["counter"]


@pytest.mark.parametrize("hook", ["input", "output"])
def test_rules_for_the_host_itself_do_not_block(hook: str) -> None:
    assert by_rule(COUNTER, hook=hook) == []


def test_nat_chains_see_new_flows_only() -> None:
    assert reasons(chain("c", [COUNTER], hook="prerouting", type_="nat")) == []


@pytest.mark.parametrize(
    ("condition", "blocks"),
    [
        pytest.param(match(STATE, "new", "in"), False, id="new flows"),
        pytest.param(match(STATE, "invalid", "in"), False, id="invalid packets"),
        pytest.param(match(STATE, ["established"], "in"), True, id="established flows"),
        pytest.param(match(STATE, ["untracked"], "in"), True, id="the second pass"),
        pytest.param(meta("l4proto", "icmp"), False, id="ICMP"),
        pytest.param(payload("icmp", "type", "echo-request"), False, id="pings"),
        pytest.param(meta("iifname", "eth7"), False, id="an interface that is no part of the gateway"),
        pytest.param(meta("iifname", "lan1"), True, id="an inside interface"),
        pytest.param(meta("oifname", "nvi0"), True, id="the device"),
        pytest.param(payload("ip", "saddr", "10.0.0.1"), True, id="an address that may be behind an uplink"),
        pytest.param(payload("ip", "daddr", "@some"), True, id="addresses in a set"),
        pytest.param(payload("tcp", "dport", 443), True, id="a port"),
        pytest.param(match(FLAGS, "syn", "in"), False, id="SYN"),
    ],
)
def test_a_counter_blocks_if_cached_packets_could_pass_it(condition: dict[str, Any], blocks: bool) -> None:
    assert by_rule(condition, COUNTER) == (["counter"] if blocks else [])


def test_what_is_counted_before_a_match_is_counted_whatever_the_match_says() -> None:
    assert by_rule(COUNTER, match(STATE, "new", "in"), DROP) == ["counter"]


def test_a_log_of_what_is_dropped_does_not_block() -> None:
    assert by_rule(payload("tcp", "dport", 25), LOG, DROP) == []
    assert reasons(chain("c", [ESTABLISHED, ACCEPT], [meta("mark", 1 << 31), ACCEPT], [LIMIT, LOG], hook="forward",
                         policy="drop")) == []  # fmt: skip


def test_a_limit_in_a_drop_blocks_because_packets_below_it_pass() -> None:
    assert by_rule(meta("l4proto", "udp"), {"limit": {"rate": 1, "per": "second", "inv": True}}, DROP) == ["limit"]


def test_rules_behind_an_accept_of_established_flows_matter_to_the_second_pass_alone() -> None:
    second_pass = [match({"&": [MARK, 1 << 31]}, 0, "!="), ACCEPT]
    assert reasons(chain("c", [ESTABLISHED, ACCEPT], [COUNTER], hook="forward")) == ["counter"]
    assert reasons(chain("c", [ESTABLISHED, ACCEPT], second_pass, [COUNTER], hook="forward")) == []


def test_rules_are_followed_into_other_chains() -> None:
    base = chain("base", [ESTABLISHED, jump("on")], hook="forward")
    assert reasons(base, chain("on", [COUNTER])) == ["counter"]
    assert reasons(base, chain("off", [COUNTER])) == []
    ends = chain("base", [jump("ends")], [COUNTER], hook="forward")
    assert reasons(ends, chain("ends", [ACCEPT])) == []
    assert reasons(ends, chain("ends", [ESTABLISHED, ACCEPT], [{"return": None}])) == ["counter"]


def test_a_log_in_a_chain_matters_by_what_follows_the_chain() -> None:
    base = [jump("logs")], [DROP]
    assert reasons(chain("base", *base, hook="forward"), chain("logs", [LOG])) == []
    assert reasons(chain("base", *base[:1], hook="forward"), chain("logs", [LOG])) == ["log"]


def test_a_set_that_counts_by_element_blocks_where_it_is_asked() -> None:
    counted = {"set": {"family": "inet", "table": "t", "name": "s", "type": "ipv4_addr", "stmt": [{"counter": None}]}}
    asks = chain("c", [payload("ip", "saddr", "@s"), ACCEPT], hook="forward")
    assert [b.reason for b in found(survey(nft_objects=(*table(asks), counted)))] == ["counter"]
    assert found(survey(nft_objects=(*table(chain("c", [ACCEPT], hook="forward")), counted))) == ()


@pytest.mark.parametrize(("seconds", "blocks"), [(6, True), (60, False)])
def test_a_timeout_policy_blocks_if_it_is_shorter_than_the_cache_needs(seconds: int, blocks: bool) -> None:
    policy = {
        "ct timeout": {"family": "inet", "table": "t", "name": "p", "policy": {"unreplied": 5, "replied": seconds}}
    }
    objects = (*table(chain("c", [{"ct timeout": "p"}], hook="prerouting", prio=-300)), policy)
    assert [b.reason for b in found(survey(nft_objects=objects))] == (["conntrack_timeout"] if blocks else [])


def test_the_counter_that_iptables_gives_every_rule_does_not_block() -> None:
    with_target = chain("FORWARD", [COUNTER, jump("X")], hook="forward")
    assert reasons(with_target, chain("X", [ESTABLISHED, COUNTER, ACCEPT]), family="ip", name="filter") == []
    assert reasons(with_target, chain("X", [ESTABLISHED, COUNTER]), family="ip", name="filter") == ["counter"]


def test_a_helper_or_synproxy_for_new_flows_concerns_all_that_follows() -> None:
    assert by_rule(match(STATE, "new", "in"), {"ct helper": "ftp"}) == ["helper"]
    assert by_rule(match(STATE, ["invalid", "untracked"], "in"), {"synproxy": {}}) == ["synproxy"]

    assert (
        found(survey(nft_objects=table(chain("c", [{"ct helper": "ftp"}], hook="forward")), conntrack_functions=True))
        == ()
    )


def test_rules_of_one_kind_in_a_chain_are_told_together() -> None:
    (blocker,) = found(survey(nft_objects=table(chain("c", [COUNTER], [COUNTER], [COUNTER], hook="forward"))))
    assert str(blocker) == "rule inet t c handle 2 (counter) and 2 others of that chain counts every packet"
    assert blocker.remedy.splitlines()[0] == "nft delete rule inet t c handle 2"
    assert blocker.ifname is None


def test_many_interfaces_do_not_hide_a_rule() -> None:
    many = spec(interfaces={f"lan{n}": {"networks": [f"10.0.{n}.0/24"]} for n in range(200)})
    objects = table(
        chain("c", *[[payload("tcp", "dport", n), ACCEPT] for n in range(500)], [COUNTER], hook="forward")
    )
    assert [b.reason for b in found(survey(nft_objects=objects), many)] == ["counter"]


# --------------------------------------------------------------------------- hooks of devices, and everything else


@pytest.mark.parametrize(("rule", "reason"), [([COUNTER], "counter"), ([payload("ip", "saddr", "@bad"), DROP], None)])
def test_a_chain_at_an_ingress_is_judged_for_its_interface(rule: Rule, reason: str | None) -> None:
    objects = table(chain("c", rule, hook="ingress"), family="netdev")
    at = (IngressChain("netdev", "t", "c", ("wan0", "eth7")),)
    of = found(survey(nft_objects=objects, nft_ingress=at))
    assert [(b.reason, b.ifname) for b in of] == ([(reason, "wan0")] if reason else [])


def test_hooks_of_a_bridge_see_every_packet_anyway() -> None:
    assert reasons(chain("c", [COUNTER], hook="forward"), family="bridge") == []


def one(**of: Any) -> tuple[str, str | None]:
    (blocker,) = found(survey(**of))
    return blocker.reason, blocker.ifname


def test_tc_filters_and_programs_block_at_the_ingress_of_their_interface() -> None:
    foreign = FilterFact("wan0", "ingress", 10, "matchall", verdicts=frozenset({7}))
    assert one(filters=(foreign,)) == ("tc_filter", "wan0")
    assert found(survey(filters=(replace(foreign, own=True),))) == ()
    assert found(survey(filters=(replace(foreign, place="egress"),))) == ()
    assert one(tcx=(TcxFact("lan0", "ingress", "shaper 12"),)) == ("tcx_program", "lan0")


def test_what_cannot_be_read_blocks() -> None:
    assert one(nft_failures=("nft list table inet x: nft ended with SIGSEGV",)) == ("unreadable", None)
    assert one(legacy_tables=((4, "filter"),)) == ("iptables_legacy", None)


def test_ipsec_policies_block() -> None:
    assert one(policies=2) == ("ipsec", None)


def test_settings_block_that_have_conntrack_look_at_every_packet() -> None:
    assert one(sysctls={"net/netfilter/nf_conntrack_helper": "1"}) == ("helper", None)
    assert one(sysctls={"net/netfilter/nf_conntrack_acct": "1"}) == ("conntrack_accounting", None)
    calls = {"net/bridge/bridge-nf-call-iptables": "1"}
    assert found(survey(sysctls=calls)) == ()
    assert one(sysctls=calls, links=[link("lan1", kind="bridge")]) == ("bridge_netfilter", "lan1")


def test_a_port_of_another_interface_blocks() -> None:
    assert one(links=[link("lan1", master="vrf-blue")]) == ("master", "lan1")
