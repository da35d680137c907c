"""Recorded listings of nft 1.0.6, and how they are parsed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nvi_operator.nft.ast import (
    Chain,
    Count,
    Field,
    ForeignObject,
    Hook,
    Interval,
    Masked,
    Match,
    NamedSet,
    Opaque,
    Rule,
    Table,
    Verdict,
)
from nvi_operator.nft.listing import parse_table
from nvi_operator.nft.shapes import ListingError
from nvi_operator.nft.table_text import table_text

LISTINGS = Path(__file__).parent / "listings"
OURS = sorted(path.stem for path in LISTINGS.glob("*.nft"))


def listed(name: str) -> list[dict[str, Any]]:
    objects: list[dict[str, Any]] = json.loads((LISTINGS / f"{name}.json").read_text(encoding="utf-8"))["nftables"]
    return objects


def parsed(objects: list[dict[str, Any]], **ifindexes: int) -> Table:
    table = parse_table(objects, "nvi", ifindexes.get)
    assert table is not None
    return table


def rule(*expressions: dict[str, Any]) -> Rule:
    """One rule, as it comes back."""
    head = {"family": "inet", "table": "nvi"}
    table = parsed(
        [
            {"table": {"family": "inet", "name": "nvi", "handle": 1}},
            {"chain": {**head, "name": "c", "handle": 2}},
            {"rule": {**head, "chain": "c", "handle": 3, "expr": list(expressions)}},
        ]
    )
    (chain,) = table.chains
    return chain.rules[0]


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


META_MARK = {"meta": {"key": "mark"}}
L4PROTO = {"meta": {"key": "l4proto"}}


@pytest.mark.parametrize("name", OURS)
def test_a_listing_reads_as_the_file_that_was_loaded(name: str) -> None:
    assert "\n".join(table_text(parsed(listed(name)))) + "\n" == (LISTINGS / f"{name}.nft").read_text(
        encoding="utf-8"
    )


def test_where_there_is_no_table_there_is_none() -> None:
    assert parse_table(listed("dual-wan"), "other", lambda name: None) is None
    assert parse_table([{"metainfo": {"version": "1.0.6"}}], "nvi", lambda name: None) is None


def test_a_table_of_another_family_with_this_name_is_another_table() -> None:
    objects = [{"table": {"family": "ip", "name": "nvi", "handle": 1}}]
    assert parse_table(objects, "nvi", lambda name: None) is None


def test_what_others_put_in_is_read_without_a_crash() -> None:
    table = parsed(listed("foreign"))
    (chain,) = table.chains
    assert chain.hook == Hook("filter", "input", 0, "drop")
    strange = [rule for rule in chain.rules if any(isinstance(s, Opaque) for s in rule)]
    assert len(strange) >= 6
    assert table.foreign == {ForeignObject("quota", "theirs"), ForeignObject("set", "timed", "timeout")}
    assert table.counters == {"mine"}


def test_an_anonymous_counter_is_not_our_named_one() -> None:
    assert rule({"counter": {"packets": 5, "bytes": 9}}) == (Opaque('{"counter": {"bytes": 9, "packets": 5}}'),)
    assert rule({"counter": "stage_1"}) == (Count("stage_1"),)


MATCHES = {
    "mark-as-prefix": (
        match(META_MARK, {"prefix": {"addr": 0, "len": 1}}),
        Match(Masked(Field("meta mark"), 0x80000000), "==", 0),
    ),
    "mask": (
        match({"&": [META_MARK, 255]}, 5),
        Match(Masked(Field("meta mark"), 255), "==", 5),
    ),
    "protocol-by-number": (match(L4PROTO, 17), Match(Field("meta l4proto"), "==", "udp")),
    "protocol-by-other-name": (match(L4PROTO, "ipv6-icmp"), Match(Field("meta l4proto"), "==", "icmpv6")),
    "protocol-unknown": (match(L4PROTO, 253), Match(Field("meta l4proto"), "==", 253)),
    "state-alone": (
        match({"ct": {"key": "state"}}, "new", "in"),
        Match(Field("ct state"), "in", frozenset({"new"})),
    ),
    "state-several": (
        match({"ct": {"key": "state"}}, ["new", "related"], "in"),
        Match(Field("ct state"), "in", frozenset({"new", "related"})),
    ),
    "whole-prefix": (
        match({"payload": {"protocol": "ip", "field": "saddr"}}, {"prefix": {"addr": "10.0.0.0", "len": 8}}),
        Match(Field("ip saddr"), "==", "10.0.0.0/8"),
    ),
    "range-that-is-a-prefix": (
        match({"payload": {"protocol": "ip", "field": "saddr"}}, {"range": ["10.0.0.0", "10.0.0.3"]}),
        Match(Field("ip saddr"), "==", "10.0.0.0/30"),
    ),
    "range": (
        match({"payload": {"protocol": "ip", "field": "saddr"}}, {"range": ["10.0.0.1", "10.0.0.3"]}),
        Match(Field("ip saddr"), "==", Interval("10.0.0.1", "10.0.0.3")),
    ),
    "address-in-another-spelling": (
        match({"payload": {"protocol": "ip6", "field": "saddr"}}, "2001:DB8:0:0::1"),
        Match(Field("ip6 saddr"), "==", "2001:db8::1"),
    ),
    "interface-named-like-an-address": (
        match({"meta": {"key": "iifname"}}, "fe80::1"),
        Match(Field("iifname"), "==", "fe80::1"),
    ),
    "fib-missing": (
        match({"fib": {"result": "oif", "flags": ["iif", "saddr"]}}, False),
        Match(Field("fib saddr . iif oif"), "==", "missing"),
    ),
}


@pytest.mark.parametrize(("expression", "meaning"), MATCHES.values(), ids=MATCHES)
def test_a_match_is_read_in_its_canonical_form(expression: dict[str, Any], meaning: Match) -> None:
    assert rule(expression) == (meaning,)


FOREIGN = {
    "an-operator": match(META_MARK, 5, "<"),
    "a-raw-payload": match({"payload": {"base": "nh", "offset": 96, "len": 32}}, 5),
    "numgen-with-offset": match({"numgen": {"mode": "inc", "mod": 2, "offset": 7}}, 5),
    "jhash-with-seed": match({"jhash": {"mod": 2, "seed": 7, "expr": {"payload": {}}}}, 5),
    "masquerade": {"masquerade": None},
    "nat-without-address": {"snat": {"family": "ip", "port": 5}},
    "nat-without-family": {"snat": {"addr": "10.0.0.1"}},
    "a-map-of-something-else": {"mangle": {"key": META_MARK, "value": {"|": [{"meta": {"key": "priority"}}, 1]}}},
    "a-list-for-a-mask": match({"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["syn", "ack"]]}, "syn"),
    "a-word-for-a-key": match("mark", 5),
    "queue": {"queue": {"num": 3}},
    "two-nouns": {"accept": None, "drop": None},
    "a-word-for-a-statement": "accept",
    "a-jump-to-a-number": {"jump": {"target": 5}},
    "a-jump-without-target": {"jump": {"chain": "c"}},
    "a-range-of-three": match(META_MARK, {"range": [1, 2, 3]}),
    "a-range-that-ends-before-it-begins": match(META_MARK, {"range": ["10.0.0.2", "10.0.0.1"]}),
    "a-prefix-that-is-too-long": match(META_MARK, {"set": [{"prefix": {"addr": "10.0.0.0", "len": 33}}]}),
    "a-list-for-a-mark": match(META_MARK, [1]),
    "a-fib-flag-unknown": match({"fib": {"result": "oif", "flags": ["colour"]}}, False),
    "nat-to-a-named-port": {"dnat": {"family": "ip", "addr": "10.0.0.1", "port": "http"}},
    "nat-of-another-family": {"dnat": {"family": "arp", "addr": "10.0.0.1"}},
    "a-mark-from-a-word": {"mangle": {"key": META_MARK, "value": "x"}},
    "a-map-without-data": {"vmap": {"key": META_MARK}},
}


@pytest.mark.parametrize("expression", FOREIGN.values(), ids=FOREIGN)
def test_a_statement_that_the_ruleset_never_has_is_opaque_and_equals_no_other(expression: dict[str, Any]) -> None:
    assert rule(expression) == (Opaque(json.dumps(expression, sort_keys=True)),)


@pytest.mark.parametrize(
    ("body", "foreign"),
    [
        (
            {"set": {"family": "inet", "table": "nvi", "name": "s", "type": "mark", "flags": ["timeout"]}},
            ForeignObject("set", "s", "timeout"),
        ),
        (
            {"set": {"family": "inet", "table": "nvi", "name": "s", "type": "mark", "stmt": [{"counter": None}]}},
            ForeignObject("set", "s", "stmt"),
        ),
        ({"quota": {"family": "inet", "table": "nvi", "name": "q", "bytes": 5}}, ForeignObject("quota", "q")),
        (
            {"set": {"family": "inet", "table": "nvi", "name": "e", "type": "mark", "elem": [{"&": [1, 2]}]}},
            ForeignObject("set", "e"),
        ),
        (
            {"map": {"family": "inet", "table": "nvi", "name": "e", "type": "mark", "map": "mark", "elem": [1]}},
            ForeignObject("map", "e"),
        ),
        (
            {"set": {"family": "inet", "table": "nvi", "name": "e", "type": {"typeof": {"meta": {"key": "mark"}}}}},
            ForeignObject("set", "e"),
        ),
    ],
    ids=[
        "set-with-timeout",
        "set-that-counts",
        "quota",
        "set-of-unknown-elements",
        "map-of-no-pairs",
        "set-of-unknown-type",
    ],
)
def test_an_object_that_the_ruleset_never_has_is_a_foreign_object(
    body: dict[str, Any], foreign: ForeignObject
) -> None:
    table = parsed([{"table": {"family": "inet", "name": "nvi"}}, body])
    assert (table.foreign, table.sets) == ({foreign}, frozenset())


HEAD = {"family": "inet", "table": "nvi"}


@pytest.mark.parametrize(
    "body",
    [
        {"set": {**HEAD, "type": "mark"}},
        {"set": {**HEAD, "name": ["s"], "type": "mark"}},
        {"set": {**HEAD, "name": "s", "type": "mark", "flags": {"interval": 1}}},
        {"counter": {**HEAD, "name": 5}},
        {"chain": {**HEAD}},
        {"chain": {**HEAD, "name": "c", "hook": "input", "type": "filter"}},
        {"chain": {**HEAD, "name": "c", "hook": "input", "type": "filter", "prio": "first"}},
        {"rule": {**HEAD, "chain": "no-such", "expr": []}},
        {"rule": {**HEAD, "expr": []}},
        {"rule": {**HEAD, "chain": "there"}},
        {"rule": {**HEAD, "chain": "there", "expr": {"accept": None}}},
        {"quota": []},
        {"quota": {**HEAD}, "limit": {**HEAD}},
        {},
    ],
    ids=str,
)
def test_what_nft_never_prints_is_one_error_and_no_table(body: dict[str, Any]) -> None:
    there = {"chain": {**HEAD, "name": "there"}}
    with pytest.raises(ListingError):
        parsed([{"table": {"family": "inet", "name": "nvi"}}, there, body])


def test_interfaces_in_maps_are_read_as_numbers() -> None:
    named = {
        "map": {
            "family": "inet",
            "table": "nvi",
            "name": "ifindex_mark",
            "type": "iface_index",
            "map": "mark",
            "elem": [["wan0", 5], [7, 6], ["gone", 9]],
        }
    }
    (found,) = parsed([named], wan0=3).sets
    assert found == NamedSet(
        "ifindex_mark", ("iface_index",), frozenset({((3,), (5,)), ((7,), (6,)), (("gone",), (9,))}), ("mark",)
    )


def test_elements_are_read_without_comments_and_timeouts() -> None:
    body = {
        "family": "inet",
        "table": "nvi",
        "name": "s",
        "type": "ipv4_addr",
        "elem": [{"elem": {"val": "10.0.0.1", "comment": "x"}}, {"prefix": {"addr": "10.1.0.0", "len": 16}}],
    }
    (found,) = parsed([{"set": body}]).sets
    assert found.elements == {(("10.0.0.1",), None), (("10.1.0.0/16",), None)}


def test_rules_stand_in_the_order_of_the_listing() -> None:
    table = parsed(listed("dual-wan"))
    (hook,) = [chain for chain in table.chains if chain.name == "mark_hook"]
    assert isinstance(hook, Chain)
    assert hook.rules[0][-1] == Verdict("return")


def test_an_index_is_listed_by_the_name_of_its_interface_even_if_that_is_a_number() -> None:
    def listed_as(text: str, **interfaces: int) -> object:
        head = {"family": "inet", "table": "nvi"}
        expression = match({"meta": {"key": "iif"}}, text)
        objects = [
            {"table": {**head, "name": "nvi", "handle": 1}},
            {"chain": {**head, "name": "c", "handle": 2}},
            {"rule": {**head, "chain": "c", "handle": 3, "expr": [expression]}},
        ]
        (chain,) = parsed(objects, **interfaces).chains
        (statement,) = chain.rules[0]
        assert isinstance(statement, Match)
        return statement.right

    assert listed_as("lo", lo=1) == 1
    assert listed_as("7", **{"7": 12}) == 12
    assert listed_as("7") == 7, "an interface that no longer exists"
    assert listed_as("0", **{"0": 12}) == 0, "a packet that came in by no interface"
