"""Hypothesis strategies: tables of the vocabulary in which the gateway's ruleset is written."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

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
    Nat,
    Notrack,
    Numgen,
    Rule,
    SetBits,
    SetRef,
    Statement,
    Table,
    Value,
    Verdict,
    Vmap,
)
from tests.contract.sets import (
    COUNTERS,
    FAMILY,
    IP,
    MARK,
    PORT,
    PORT_FIELDS,
    PROTOCOLS,
    address,
    named_sets,
    network,
    ports,
    several,
    span,
)


@st.composite
def address_match(draw: st.DrawFn) -> Match:
    family = draw(FAMILY)
    field = Field(draw(st.sampled_from([f"{IP[family]} saddr", f"{IP[family]} daddr"])))
    right: Any = draw(
        st.one_of(
            st.just(SetRef(f"inside_{family}")),
            address(family),
            network(family),
            span(family),
            st.lists(address(family), min_size=1, max_size=4, unique=True).map(several),
            st.lists(st.one_of(network(family), span(family)), min_size=1, max_size=4).map(several),
        )
    )
    return Match(field, draw(st.sampled_from(["==", "!="])), right)


@st.composite
def original_address_match(draw: st.DrawFn) -> Match:
    family = draw(FAMILY)
    return Match(Field(f"ct original {IP[family]} daddr"), "==", draw(network(family)))


@st.composite
def bits_match(draw: st.DrawFn) -> Match:
    if draw(st.booleans()):
        field = Field(draw(st.sampled_from(["meta mark", "ct mark"])))
        mask = draw(st.sampled_from([*(1 << bit for bit in range(16, 32)), 0x800000FF, 0x100000FF, 0xFFFF, 0xFF00]))
        return Match(Masked(field, mask), "==", mask & draw(MARK))
    field, words = draw(
        st.sampled_from(
            [
                (Field("ct state"), ("new", "related", "established", "invalid", "untracked")),
                (Field("ct status"), ("snat", "dnat", "confirmed", "assured")),
            ]
        )
    )
    chosen = draw(st.sets(st.sampled_from(words), min_size=1, max_size=2))
    return Match(field, draw(st.sampled_from(["in", "not in"])), frozenset(chosen))


@st.composite
def word_match(draw: st.DrawFn) -> Match:
    field, words = draw(
        st.sampled_from(
            [
                (Field("iifname"), ("lo", "nvi0", "wan0", "lan0.5", "ppp-9")),
                (Field("oifname"), ("lo", "nvi0", "wan0", "lan0.5", "ppp-9")),
                (Field("meta l4proto"), PROTOCOLS),
            ]
        )
    )
    chosen = draw(st.sets(st.sampled_from(words), min_size=1, max_size=3))
    right = frozenset(chosen) if len(chosen) > 1 else next(iter(chosen))
    return Match(field, draw(st.sampled_from(["==", "!="])), right)


FIXED: tuple[Match, ...] = (
    Match(Field("iif"), "==", 0),
    Match(Field("ct direction"), "==", "original"),
    Match(Field("ct direction"), "==", "reply"),
    Match(Masked(Field("ct status"), "confirmed"), "==", "confirmed"),
)
FIB: tuple[Match, ...] = (
    Match(Field("fib saddr type"), "==", "local"),
    Match(Field("fib saddr . iif type"), "==", "local"),
    Match(Field("fib saddr . iif oif"), "==", "missing"),
)


@st.composite
def port_match(draw: st.DrawFn) -> Match:
    right: Any = draw(
        st.one_of(
            ports(),
            st.lists(PORT, min_size=1, max_size=4, unique=True).map(several),
            st.lists(ports(), min_size=1, max_size=4).map(several),
        )
    )
    return Match(draw(st.sampled_from(PORT_FIELDS)), "==", right)


@st.composite
def slots(draw: st.DrawFn, family: int, *, with_ports: bool) -> Lookup:
    weights = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    elements: list[Element] = []
    start = 0
    for weight in weights:
        slot: Value = start if weight == 1 else Interval(start, start + weight - 1)
        value = (draw(address(family)), draw(PORT)) if with_ports else (draw(address(family)),)
        elements.append(((slot,), value))
        start += weight
    fields = (Field(f"{IP[family]} saddr"), Field(f"{IP[family]} daddr"))
    with_port = (fields[0], Field("th sport"))
    seed = draw(st.none() | st.integers(0, 0xFFFFFFFF))
    key: Any = draw(
        st.sampled_from(
            [
                Hash(fields[:1], start, seed),
                Hash(fields, start, seed),
                Hash(with_port, start, seed),
                Numgen("inc", start),
                Numgen("random", start),
            ]
        )
    )
    return Lookup(key, frozenset(elements))


@st.composite
def nat(draw: st.DrawFn, kind: Any) -> Rule:
    """A translation, with the family match without which it would be none."""
    family: Any = draw(FAMILY)
    mine: tuple[Statement, ...] = (Match(Field("meta nfproto"), "==", f"ipv{family}"),)
    side = Field(f"{IP[family]} {'saddr' if kind == 'snat' else 'daddr'}")
    form = draw(st.sampled_from(["plain", "ports", "flags", "slots", "map", "range-map", "netmap", "inline", "own"]))
    match form:
        case "plain":
            return (*mine, Nat(kind, family, draw(st.one_of(address(family), span(family)))))
        case "ports":
            proto = Match(Field("meta l4proto"), "==", frozenset({"tcp", "udp"}))
            return (proto, *mine, Nat(kind, family, draw(st.one_of(address(family), span(family))), draw(ports())))
        case "flags":
            return (*mine, Nat(kind, family, draw(span(family)), flags=frozenset({"persistent"})))
        case "slots":
            balanced = kind == "dnat" and draw(st.booleans())
            proto = Match(Field("meta l4proto"), "==", "tcp")
            counted = Count(draw(st.sampled_from(COUNTERS)))  # as all rules of the gateway that choose
            moved = None if balanced else draw(st.none() | ports())
            flags = frozenset(draw(st.sets(st.sampled_from(["fully-random"])))) if kind == "snat" else frozenset()
            return (proto, *mine, counted, Nat(kind, family, draw(slots(family, with_ports=balanced)), moved, flags))
        case "map" if kind == "dnat":
            key = Concat((Field(f"{IP[family]} daddr"), Field("meta l4proto"), Field("th dport")))
            return (Nat(kind, family, Lookup(key, SetRef(f"dnat_port_{family}"))),)
        case "range-map" if kind == "dnat":
            key = Concat((Field(f"{IP[family]} daddr"), Field("meta l4proto"), Field("th dport")))
            return (Nat(kind, family, Lookup(key, SetRef(f"dnat_range_{family}"))),)
        case "netmap":
            return (Nat(kind, family, Lookup(side, SetRef(f"dnat_prefix_{family}")), netmap=True),)
        case "inline":
            elements = draw(st.dictionaries(address(family), address(family), min_size=1, max_size=3))
            pairs: frozenset[Element] = frozenset(((a,), (b,)) for a, b in elements.items())
            return (Nat(kind, family, Lookup(side, pairs)),)
        case _:
            return (*mine, Nat(kind, family, Field(f"ct original {IP[family]} daddr")))


@st.composite
def writes(draw: st.DrawFn) -> Statement:
    field = Field(draw(st.sampled_from(["meta mark", "ct mark"])))
    form = draw(st.sampled_from(["bits", "set", "map", "value"]))
    if form == "map":
        family = draw(FAMILY)
        found = draw(
            st.sampled_from(
                [
                    Lookup(Field("iif"), SetRef("ifindex_mark")),
                    Lookup(Field(f"{IP[family]} saddr"), SetRef(f"uplink_of_{family}")),
                ]
            )
        )
        return Assign(Field("meta mark"), found)
    if form == "value":
        return Assign(field, draw(MARK))
    bits = draw(st.integers(1, 0xFFFFFFFF))
    if form == "set":
        return SetBits(field, bits)
    clear = draw(MARK) & ~bits
    return SetBits(field, bits, clear)


@st.composite
def jumps(draw: st.DrawFn) -> Statement:
    form = draw(st.sampled_from(["ifname", "mark", "named"]))
    jump = Verdict("jump", "aside")
    if form == "ifname":
        names = draw(st.sets(st.sampled_from(["lan0", "lan1", "red.7"]), min_size=1))
        return Vmap(Field("iifname"), frozenset(((name,), jump) for name in names))
    if form == "mark":
        mask = draw(st.sampled_from([0xFF, 0xFF00]))
        values = draw(st.sets(st.integers(0, 255), min_size=1, max_size=3))
        shift = 8 if mask == 0xFF00 else 0
        return Vmap(Masked(Field("ct mark"), mask), frozenset(((value << shift,), jump) for value in values))
    family = draw(FAMILY)
    return Vmap(Field(f"{IP[family]} daddr"), SetRef(f"tenant_of_{family}"))


@st.composite
def rule(draw: st.DrawFn, chain: str) -> Rule:
    before: list[Statement] = draw(
        st.lists(
            st.one_of(address_match(), bits_match(), word_match(), st.sampled_from(FIXED), original_address_match()),
            max_size=2,
        )
    )
    families = {_family(s) for s in before if isinstance(s, Match)} - {None}
    if len(families) > 1 or len({str(s.left) for s in before if isinstance(s, Match)}) < len(before):
        before = before[:1]  # nft refuses what can never match, and folds what says the same twice
    if draw(st.booleans()):
        before.append(Count(draw(st.sampled_from(COUNTERS))))
    if chain == "raw" and not before:
        return (Match(Field("meta nfproto"), "==", "ipv4"), draw(st.sampled_from(FIB)), Count("x9"), Verdict("drop"))
    if chain in ("srcnat", "dstnat"):
        nothing_about_family = not {_family(s) for s in before if isinstance(s, Match)} - {None}
        l4 = any(isinstance(s, Match) and s.left == Field("meta l4proto") for s in before)
        if nothing_about_family and not l4:
            return (*before, *draw(nat(chain.replace("stnat", "nat").replace("rcnat", "nat"))))
    last: Statement = draw(
        st.one_of(writes(), jumps(), st.sampled_from([Verdict("accept"), Verdict("drop"), Verdict("return")]))
        if chain != "raw"
        else st.one_of(st.just(Notrack()), st.sampled_from(FIB), writes())
    )
    if len({_family(s) for s in (*before, last)} - {None}) > 1:
        return (last,)
    return (*before, last)


def _family(statement: Statement) -> int | None:
    text = str(statement)
    if "ip6" in text or "ipv6" in text or "map=SetRef(name='uplink_of_6')" in text:
        return 6
    return 4 if "'ip " in text or "ct original ip " in text or "ipv4" in text else None


HOOKS: dict[str, Hook | None] = {
    "raw": Hook("filter", "prerouting", -450),
    "dstnat": Hook("nat", "prerouting", -110),
    "srcnat": Hook("nat", "postrouting", 90),
    "guard": Hook("filter", "postrouting", 300),
    "own": Hook("route", "output", -150),
    "aside": None,
}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    chains = [Chain("aside", None, ((Count("x9"),),))]
    chains += [
        Chain(name, hook, tuple(draw(st.lists(rule(name), max_size=4)))) for name, hook in HOOKS.items() if hook
    ]
    ports_rule = (draw(port_match()), Verdict("accept"))
    chains.append(Chain("ports", Hook("filter", "forward", 5), (ports_rule,)))
    return Table("nvi", frozenset(COUNTERS), draw(named_sets()), frozenset(chains))
