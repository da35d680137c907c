"""What people do to the nftables table by hand, and the drift that it shows as."""

from __future__ import annotations

from dataclasses import replace

from nvi_operator.nft.ast import Chain, Count, ForeignObject, NamedSet, Opaque, Rule, Verdict
from tests.contract.acts import (
    TABLE,
    Fake,
    Real,
    chains,
    elements,
    foreign,
    lose,
    more_sets,
    nft,
    on_rule,
    rules,
    table,
    without_set,
)
from tests.contract.machines import Drift

MISSING, MODIFIED = "owned-missing", "owned-modified"
LOG: Rule = (Opaque('{"log": {"prefix": "x"}}'),)
SERVICE = "198.51.100.2 . udp . 53 : 192.168.1.80 . 53"


def _nft(name: str, real: Real, fake: Fake) -> Drift:
    return Drift(name, real, fake, frozenset({(MODIFIED, "nft-table")}))


NFT_DRIFTS = (
    _nft("a rule is deleted", on_rule("srcnat", "delete rule {}"), rules("srcnat", lambda r: r[:-1])),
    _nft(
        "a foreign rule is put first",
        nft('insert rule inet nvi srcnat log prefix "x"'),
        rules("srcnat", lambda r: (LOG, *r)),
    ),
    _nft(
        "a rule is replaced",
        on_rule("srcnat", "replace rule {} accept"),
        rules("srcnat", lambda r: (*r[:-1], (Verdict("accept"),))),
    ),
    _nft(
        "a rule gets a foreign statement",
        on_rule("srcnat", 'replace rule {} counter name "stage_1" log prefix "x"'),
        rules("srcnat", lambda r: (*r[:-1], (Count("stage_1"), *LOG))),
    ),
    _nft(
        "an element is added",
        nft("add element inet nvi inside_4 { 10.99.0.0/24 }"),
        elements("inside_4", lambda s: replace(s, elements=s.elements | {(("10.99.0.0/24",), None)})),
    ),
    _nft(
        "an element is deleted",
        nft(f"delete element inet nvi dnat_port_4 {{ {SERVICE} }}"),
        elements("dnat_port_4", lambda s: replace(s, elements=frozenset(list(s.elements)[1:]))),
    ),
    _nft(
        "an element leads elsewhere",
        nft(
            f"delete element inet nvi dnat_port_4 {{ {SERVICE} }}",
            f"add element inet nvi dnat_port_4 {{ {SERVICE.replace('192.168.1.80', '192.168.1.66')} }}",
        ),
        elements(
            "dnat_port_4", lambda s: replace(s, elements=frozenset((k, ("192.168.1.66", 53)) for k, _ in s.elements))
        ),
    ),
    _nft(
        "a set is deleted",
        nft("flush table inet nvi", "delete set inet nvi inside_4"),
        table(without_set),
    ),
    _nft(
        "a set is emptied",
        nft("flush set inet nvi inside_4"),
        elements("inside_4", lambda s: replace(s, elements=frozenset())),
    ),
    _nft(
        "a chain is deleted",
        nft("flush chain inet nvi own_errors", "delete chain inet nvi own_errors"),
        chains(lambda c: None if c.name == "own_errors" else c),
    ),
    _nft(
        "a chain hangs elsewhere",
        nft(
            "flush chain inet nvi own_errors",
            "delete chain inet nvi own_errors",
            "add chain inet nvi own_errors { type filter hook output priority 7; }",
        ),
        chains(
            lambda c: (
                replace(c, rules=(), hook=replace(c.hook, type="filter", priority=7))
                if c.name == "own_errors" and c.hook
                else c
            )
        ),
    ),
    _nft(
        "a chain drops by policy",
        nft("chain inet nvi guard { policy drop; }"),
        chains(lambda c: replace(c, hook=replace(c.hook, policy="drop")) if c.name == "guard" and c.hook else c),
    ),
    _nft(
        "a foreign chain is put in",
        nft("add chain inet nvi theirs", "add rule inet nvi theirs accept"),
        table(lambda t: replace(t, chains=t.chains | {Chain("theirs", None, ((Verdict("accept"),),))})),
    ),
    _nft(
        "a foreign chain uses an owned object",
        nft(
            "add chain inet nvi theirs",
            "add rule inet nvi theirs ip saddr @inside_4 counter name stage_1",
            "insert rule inet nvi guard jump theirs",
        ),
        rules("guard", lambda r: ((Verdict("jump", "theirs"),), *r)),
    ),
    _nft(
        "a foreign counter is put in",
        nft("add counter inet nvi theirs"),
        table(lambda t: replace(t, counters=t.counters | {"theirs"})),
    ),
    _nft(
        "a foreign set is put in",
        nft("add set inet nvi theirs { type ipv4_addr; }"),
        more_sets(NamedSet("theirs", ("ipv4_addr",), frozenset())),
    ),
    _nft(
        "a foreign set with a timeout is put in",
        nft("add set inet nvi theirs { type ipv4_addr; flags timeout; elements = { 10.0.0.1 timeout 1h }; }"),
        foreign(ForeignObject("set", "theirs", "timeout")),
    ),
    _nft(
        "a foreign quota is put in",
        nft("add quota inet nvi theirs { over 1 mbytes }"),
        foreign(ForeignObject("quota", "theirs")),
    ),
    _nft(
        "an owned set gets a timeout",
        nft(
            "flush table inet nvi",
            "delete set inet nvi inside_4",
            "add set inet nvi inside_4 { type ipv4_addr; flags interval, timeout; }",
        ),
        table(lambda t: replace(without_set(t), foreign=frozenset({ForeignObject("set", "inside_4", "timeout")}))),
    ),
    _nft(
        "the table sleeps",
        nft("add table inet nvi { flags dormant; }"),
        table(lambda t: replace(t, flags=frozenset({"dormant"}))),
    ),
    _nft("the table is flushed", nft("flush table inet nvi"), chains(lambda c: replace(c, rules=()))),
    Drift(
        "the table is deleted",
        nft("delete table inet nvi"),
        lose(TABLE),
        frozenset({(MISSING, "nft-table")}),
    ),
    Drift(
        "the whole ruleset is flushed",
        nft("flush ruleset"),
        lose(TABLE),
        frozenset({(MISSING, "nft-table")}),
    ),
)
