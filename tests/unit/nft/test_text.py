"""The AST as text that nft takes."""

from __future__ import annotations

import pytest

from nvi_operator.nft.ast import (
    Assign,
    Chain,
    Concat,
    Count,
    Element,
    Field,
    Hash,
    Hook,
    Interval,
    Lookup,
    Masked,
    Match,
    NamedSet,
    Nat,
    Notrack,
    Numgen,
    SetBits,
    SetRef,
    Statement,
    Table,
    Verdict,
    Vmap,
)
from nvi_operator.nft.table_text import table_text
from nvi_operator.nft.text import element_text, rule_text, set_definition, statement_text

MARK, SADDR, DADDR6 = Field("meta mark"), Field("ip saddr"), Field("ip6 daddr")
SERVICE = Concat((Field("ip daddr"), Field("meta l4proto"), Field("th dport")))
TWO: frozenset[Element] = frozenset({((Interval(0, 2),), ("10.0.0.1",)), ((3,), ("10.0.0.2",))})

STATEMENTS: dict[str, tuple[Statement, str]] = {
    "name-quoted": (Match(Field("iifname"), "==", "lan0.5"), 'iifname "lan0.5"'),
    # An interface may be called 2, and nft would take its index; 1 is always the loopback.
    "no-index-is-taken-for-a-name": (Match(Field("iif"), "==", 2), 'iif " 2"'),
    "the-loopback": (Match(Field("iif"), "!=", 1), 'iif != "lo"'),
    "indexes-of-a-map": (Vmap(Field("oif"), frozenset({((7,), Verdict("accept"))})), 'oif vmap { " 7" : accept }'),
    "names-sorted": (Match(Field("oifname"), "!=", frozenset({"b", "a"})), 'oifname != { "a", "b" }'),
    "ports-in-order-of-number": (
        Match(Field("tcp dport"), "==", frozenset({443, 80, Interval(1000, 2000)})),
        "tcp dport { 80, 443, 1000-2000 }",
    ),
    "set": (Match(SADDR, "!=", SetRef("inside_4")), "ip saddr != @inside_4"),
    "three-bytes-are-slow": (Match(SADDR, "!=", "10.1.2.0/24"), "ip saddr & 255.255.255.0 != 10.1.2.0"),
    "other-prefix": (Match(SADDR, "==", "10.1.0.0/16"), "ip saddr 10.1.0.0/16"),
    "mask": (Match(Masked(MARK, 0xFF00), "==", 0x100), "meta mark & 0x0000ff00 == 0x00000100"),
    "any-of-bits": (Match(Field("ct status"), "in", frozenset({"snat", "dnat"})), "ct status dnat,snat"),
    "none-of-bits": (Match(Field("ct status"), "not in", frozenset({"dnat"})), "ct status ! dnat"),
    "verdict": (Verdict("jump", "to_red"), "jump to_red"),
    "notrack": (Notrack(), "notrack"),
    "count": (Count("stage_1"), 'counter name "stage_1"'),
    "write-mark": (Assign(MARK, 5), "meta mark set 0x00000005"),
    "write-from-map": (Assign(MARK, Lookup(Field("iif"), SetRef("m"))), "meta mark set iif map @m"),
    "set-bits": (SetBits(MARK, 0x80000000), "meta mark set meta mark | 0x80000000"),
    "set-and-clear-bits": (SetBits(MARK, 1, 0xFE), "meta mark set meta mark & 0xffffff01 | 0x00000001"),
    "clear-bits": (SetBits(MARK, clear=0xFF), "meta mark set meta mark & 0xffffff00"),
    "nat-4": (Nat("snat", 4, "203.0.113.2"), "snat ip to 203.0.113.2"),
    "nat-6-needs-no-brackets": (Nat("dnat", 6, "fd00::1"), "dnat ip6 to fd00::1"),
    "nat-6-with-port-needs-brackets": (Nat("dnat", 6, "fd00::1", 80), "dnat ip6 to [fd00::1]:80"),
    "nat-6-range-with-ports": (
        Nat("snat", 6, Interval("fd00::1", "fd00::9"), Interval(1, 9)),
        "snat ip6 to [fd00::1]-[fd00::9]:1-9",
    ),
    "nat-prefix-with-ports-is-a-range": (
        Nat("snat", 4, "10.0.0.16/28", Interval(9999, 20000)),
        "snat ip to 10.0.0.16-10.0.0.31:9999-20000",
    ),
    "nat-flags": (
        Nat("snat", 4, Interval("10.0.0.1", "10.0.0.3"), flags=frozenset({"persistent"})),
        "snat ip to 10.0.0.1-10.0.0.3 persistent",
    ),
    "nat-own": (Nat("snat", 4, Field("ct original ip daddr")), "snat ip to ct original ip daddr"),
    "netmap": (
        Nat("snat", 4, Lookup(SADDR, SetRef("p")), netmap=True),
        "snat ip prefix to ip saddr map @p",
    ),
    "nat-by-hash": (
        Nat("dnat", 4, Lookup(Hash((SADDR,), 4), TWO)),
        "dnat ip to jhash ip saddr mod 4 map { 0-2 : 10.0.0.1, 3 : 10.0.0.2 }",
    ),
    "nat-in-turn": (
        Nat("dnat", 4, Lookup(Numgen("inc", 4), TWO)),
        "dnat ip to numgen inc mod 4 map { 0-2 : 10.0.0.1, 3 : 10.0.0.2 }",
    ),
    "nat-by-service": (
        Nat("dnat", 4, Lookup(SERVICE, SetRef("dnat_port_4"))),
        "dnat ip to ip daddr . meta l4proto . th dport map @dnat_port_4",
    ),
    "vmap-by-name": (
        Vmap(Field("iifname"), frozenset({(("red0",), Verdict("jump", "from_red"))})),
        'iifname vmap { "red0" : jump from_red }',
    ),
}


@pytest.mark.parametrize(("statement", "text"), STATEMENTS.values(), ids=STATEMENTS)
def test_a_statement_is_written_as_nft_wants_it(statement: Statement, text: str) -> None:
    assert statement_text(statement) == text


def test_a_rule_is_its_statements_in_order() -> None:
    assert rule_text((Match(SADDR, "==", "10.0.0.1"), Count("c"), Verdict("drop"))) == (
        'ip saddr 10.0.0.1 counter name "c" drop'
    )


@pytest.mark.parametrize(
    ("element", "key", "values", "text"),
    [
        ((("10.0.0.0/8",), None), ("ipv4_addr",), (), "10.0.0.0/8"),
        (((3,), (0x80000003,)), ("iface_index",), ("mark",), '" 3" : 0x80000003'),
        ((("wan0",), Verdict("accept")), ("ifname",), ("verdict",), '"wan0" : accept'),
        (
            (("10.0.0.1", "tcp", Interval(1, 9)), ("10.0.0.2", 5)),
            ("ipv4_addr", "inet_proto", "inet_service"),
            ("ipv4_addr", "inet_service"),
            "10.0.0.1 . tcp . 1-9 : 10.0.0.2 . 5",
        ),
    ],
    ids=["prefix", "ifindex-to-mark", "name-to-verdict", "service-range"],
)
def test_an_element_is_written_by_the_types_of_its_set(
    element: Element, key: tuple[str, ...], values: tuple[str, ...], text: str
) -> None:
    assert element_text(element, key, values) == text


@pytest.mark.parametrize(
    ("named", "text"),
    [
        (NamedSet("s", ("ipv4_addr",), frozenset(), interval=True), "type ipv4_addr; flags interval;"),
        (NamedSet("s", ("ipv4_addr",), frozenset(), ("mark",), size=1024), "type ipv4_addr : mark; size 1024;"),
        (
            NamedSet("s", ("ipv4_addr",), frozenset(), ("ipv4_addr",), interval=True, prefix_values=True),
            "type ipv4_addr : interval ipv4_addr; flags interval;",
        ),
        (NamedSet("s", ("ipv4_addr", "inet_proto"), frozenset()), "type ipv4_addr . inet_proto;"),
    ],
    ids=["interval", "sized-map", "prefix-map", "concatenation"],
)
def test_a_set_says_what_it_holds(named: NamedSet, text: str) -> None:
    assert set_definition(named) == text


def test_a_table_is_written_in_an_order_that_depends_on_its_names_only() -> None:
    hook = Hook("filter", "forward", -5)
    chains = [Chain("b", hook, ((Verdict("drop"),),)), Chain("a", None, ())]
    sets = [NamedSet("y", ("mark",), frozenset({((2,), None), ((10,), None)})), NamedSet("x", ("mark",), frozenset())]
    counters = ["n", "m"]
    one = Table("t", frozenset(counters), frozenset(sets), frozenset(chains))
    other = Table("t", frozenset(reversed(counters)), frozenset(reversed(sets)), frozenset(reversed(chains)))
    lines = list(table_text(one, width=1))
    assert lines == list(table_text(other, width=1))
    assert [line.strip() for line in lines] == [
        "table inet t {",
        *("counter m { }", "counter n { }"),
        *("set x {", "type mark;", "}"),
        *("set y {", "type mark;", "elements = {", "0x00000002,", "0x0000000a,", "}", "}"),
        *("chain a {", "}"),
        *("chain b {", "type filter hook forward priority -5; policy accept;", "drop", "}"),
        "}",
    ]
