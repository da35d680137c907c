"""Each stage that reads or writes a table sees every field of it, or refuses the table."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import Field as DataclassField
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from nvi_operator.dataclass import dataclass
from nvi_operator.nft import ast, listing, objects
from nvi_operator.nft.ast import (
    Assign,
    Chain,
    Concat,
    Count,
    Field,
    ForeignObject,
    Hash,
    Hook,
    Interval,
    Lookup,
    Masked,
    Match,
    NamedSet,
    Nat,
    Numgen,
    Opaque,
    SetBits,
    SetRef,
    Shard,
    Statement,
    Table,
    Verdict,
    Vmap,
)
from nvi_operator.nft.batches import batches
from nvi_operator.nft.diff import table_lines
from nvi_operator.nft.listing import parse_table
from nvi_operator.nft.objects import ObjectKind
from nvi_operator.nft.shapes import member, number, text
from nvi_operator.nft.table_text import table_text
from nvi_operator.nft.transaction import transaction
from nvi_operator.nft.wire.packed_elements import packed


@dataclass(frozen=True)
class Quota:
    name: str
    size: int


@dataclass(frozen=True)
class WithQuotas(Table):
    """A table with a field that the program knows nothing of."""

    quotas: frozenset[Quota] = frozenset()


QUOTAS: ObjectKind[Quota] = ObjectKind(
    "quotas",
    ("quota",),
    noun=lambda quota: "quota",
    name=lambda quota: quota.name,
    definition=lambda quota: f"over {quota.size} bytes",
    parse=lambda body, rules, ifindex: Quota(text(member(body, "name")), number(member(body, "bytes"))),
)
CHAIN = Chain("dstnat", Hook("nat", "prerouting", -110), ((Count("n"),),))


def addresses(*hosts: int) -> NamedSet:
    return packed(NamedSet("m", ("ipv4_addr",), frozenset(((f"10.0.0.{n}",), None) for n in hosts)))


def with_quotas(*sizes: int, hosts: tuple[int, ...] = (1,)) -> WithQuotas:
    return WithQuotas(
        "nvi",
        frozenset({"n"}),
        frozenset({addresses(*hosts)}),
        frozenset({CHAIN}),
        quotas=frozenset(Quota(f"q{size}", size) for size in sizes),
    )


STAGES: dict[str, Callable[[Table, Table], Any]] = {
    "text": lambda before, after: list(table_text(after)),
    "transaction": transaction,
    "batches": batches,
    "diff": lambda before, after: list(table_lines(before, after)),
}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_a_table_with_a_field_that_is_described_nowhere_is_refused(stage: Callable[[Table, Table], Any]) -> None:
    with pytest.raises(TypeError, match="no description of quotas"):
        stage(with_quotas(5), with_quotas(6, hosts=(1, 2)))


def test_elements_are_sent_alone_only_if_nothing_else_of_the_table_differs() -> None:
    before, after = with_quotas(5), with_quotas(5, hosts=(1, 2))
    assert [step.text for step in batches(before, after)] == [""]
    dormant = replace(after, flags=frozenset({"dormant"}))
    for other in (replace(after, counters=frozenset()), replace(after, chains=frozenset()), dormant):
        plain = [Table(t.name, t.counters, t.sets, t.chains, t.flags) for t in (before, other)]
        assert all(step.text for step in batches(*plain))


def test_one_description_makes_a_new_kind_of_object_known_to_every_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "KINDS", (QUOTAS, *objects.KINDS))
    monkeypatch.setattr(listing, "Table", WithQuotas)
    before, after = with_quotas(5), with_quotas(6, hosts=(1, 2))
    assert "    quota q6 { over 6 bytes }" in table_text(after)
    lines = transaction(before, after).splitlines()
    assert lines == [
        "delete quota inet nvi q5",
        "add quota inet nvi q6 { over 6 bytes }",
        "add element inet nvi m { 10.0.0.2 }",
    ]
    (step,) = batches(before, after)
    assert (step.text.splitlines(), step.after) == (lines, after)
    assert list(table_lines(before, after))[:2] == [
        ("-", "quota q5 { over 5 bytes }"),
        ("+", "quota q6 { over 6 bytes }"),
    ]
    head = {"family": "inet", "table": "nvi"}
    listed = parse_table([{"quota": {**head, "name": "q5", "bytes": 5}}], "nvi", lambda name: None)
    assert listed == WithQuotas("nvi", quotas=frozenset({Quota("q5", 5)}))


def test_a_set_or_a_chain_with_one_more_field_is_refused_and_never_changed_by_contents_alone() -> None:
    @dataclass(frozen=True)
    class More(NamedSet):
        timeout: int = 0

    before, after = More("m", ("mark",), frozenset()), More("m", ("mark",), frozenset(), timeout=5)
    assert not before.becomes(after)
    with pytest.raises(TypeError, match="no text for timeout"):
        transaction(Table("nvi", sets=frozenset({before})), Table("nvi", sets=frozenset({after})))

    @dataclass(frozen=True)
    class Ingress(Chain):
        devices: tuple[str, ...] = ()

    with pytest.raises(TypeError, match="no text for devices"):
        transaction(None, Table("nvi", chains=frozenset({Ingress("c", None, (), devices=("eth0",))})))


# --------------------------------------------------------------------------- every field of the AST has its text


def of_rule(*statements: Statement) -> Table:
    return Table("nvi", chains=frozenset({Chain("c", None, (statements,))}))


def of_key(key: Any) -> Table:
    return of_rule(Match(key, "==", 1))


def of_set(named: NamedSet) -> Table:
    return Table("nvi", sets=frozenset({named}))


MARK, CT = Field("meta mark"), Field("ct mark")
# Of each class: what to put it into a table with, an example, and another value for each of its fields.
EXAMPLES: dict[type, tuple[Callable[[Any], Table], Any, dict[str, Any]]] = {
    Interval: (lambda i: of_rule(Match(MARK, "==", i)), Interval(1, 2), {"first": 0, "last": 3}),
    Field: (of_key, MARK, {"name": "ct mark"}),
    Masked: (of_key, Masked(MARK, 1), {"field": CT, "mask": 2}),
    Concat: (of_key, Concat((MARK, CT)), {"fields": (CT, MARK)}),
    Numgen: (of_key, Numgen("inc", 2), {"mode": "random", "mod": 3}),
    Hash: (of_key, Hash((MARK,), 2, 1), {"fields": (CT,), "mod": 3, "seed": None}),
    SetRef: (lambda ref: of_rule(Match(MARK, "==", ref)), SetRef("s"), {"name": "t"}),
    Verdict: (of_rule, Verdict("jump", "c"), {"kind": "drop", "target": "d"}),
    Lookup: (
        lambda lookup: of_rule(Assign(MARK, lookup)),
        Lookup(MARK, SetRef("s")),
        {"key": CT, "map": SetRef("t")},
    ),
    Match: (of_rule, Match(MARK, "==", 1), {"left": CT, "op": "!=", "right": 2}),
    ast.Notrack: (of_rule, ast.Notrack(), {}),
    Count: (of_rule, Count("n"), {"counter": "m"}),
    Assign: (of_rule, Assign(MARK, 1), {"field": CT, "value": 2}),
    SetBits: (of_rule, SetBits(MARK, 1, 2), {"field": CT, "set": 4, "clear": 8}),
    Nat: (
        of_rule,
        Nat("snat", 4, "10.0.0.0/24", 5, frozenset({"random"})),
        {
            "kind": "dnat",
            "family": 6,
            "address": "10.0.1.0/24",
            "ports": 6,
            "flags": frozenset({"persistent"}),
            "netmap": True,
        },
    ),
    ast.Redirect: (of_rule, ast.Redirect(), {"port": 53}),
    Vmap: (of_rule, Vmap(MARK, SetRef("s")), {"key": CT, "map": SetRef("t")}),
    Opaque: (of_rule, Opaque("{}"), {"json": "[]"}),
    Hook: (
        lambda hook: Table("nvi", chains=frozenset({Chain("c", hook, ())})),
        Hook("filter", "input", 0),
        {"type": "nat", "hook": "output", "priority": 1, "policy": "drop"},
    ),
    Chain: (
        lambda chain: Table("nvi", chains=frozenset({chain})),
        Chain("c", None, ()),
        {"name": "d", "hook": Hook("filter", "input", 0), "rules": ((Count("n"),),)},
    ),
    NamedSet: (
        of_set,
        NamedSet("s", ("mark",), frozenset(), ("mark",), size=5),
        {
            "name": "t",
            "key": ("ifname",),
            "elements": frozenset({((1,), (2,))}),
            "values": ("verdict",),
            "interval": True,
            "size": 6,
            "prefix_values": True,
        },
    ),
    ForeignObject: (
        lambda foreign: Table("nvi", foreign=frozenset({foreign})),
        ForeignObject("set", "s", "timeout"),
        {"noun": "map", "name": "t", "detail": "dynamic"},
    ),
    Table: (
        lambda table: table,
        Table("nvi"),
        {
            "name": "other",
            "counters": frozenset({"n"}),
            "sets": frozenset({addresses(1)}),
            "chains": frozenset({CHAIN}),
            "flags": frozenset({"dormant"}),
            "foreign": frozenset({ForeignObject("quota", "q")}),
        },
    ),
}
# Which shard of a map a set is stands in its name.
NOT_WRITTEN: dict[type, set[str]] = {Shard: {"whole", "number", "count"}, NamedSet: {"shard"}}

FIELDS: list[tuple[type, DataclassField[Any]]] = [
    (class_, field)
    for _, class_ in inspect.getmembers(ast, inspect.isclass)
    if is_dataclass(class_) and class_.__module__ == ast.__name__
    for field in fields(class_)
    if field.name not in NOT_WRITTEN.get(class_, ())
]


@pytest.mark.parametrize(
    ("class_", "field"), FIELDS, ids=[f"{class_.__name__}.{field.name}" for class_, field in FIELDS]
)
def test_every_field_of_the_ast_has_its_text(class_: type, field: DataclassField[Any]) -> None:
    table, example, others = EXAMPLES[class_]
    other = replace(example, **{field.name: others[field.name]})
    assert list(table_text(table(other))) != list(table_text(table(example)))
