"""How a table becomes another: one transaction, except for large maps that no rule asks yet."""

from __future__ import annotations

import itertools
from dataclasses import replace

from nvi_operator.nft.ast import (
    Chain,
    Concat,
    Element,
    Field,
    ForeignObject,
    Hook,
    Lookup,
    Match,
    NamedSet,
    Nat,
    Opaque,
    Rule,
    SetRef,
    Table,
    Verdict,
    Vmap,
)
from nvi_operator.nft.batches import MANY, Batch, batches, batches_to_check
from nvi_operator.nft.transaction import transaction
from nvi_operator.nft.wire.packed_elements import packed

USE: Rule = (Nat("dnat", 4, Lookup(Field("ip daddr"), SetRef("m"))),)


def table(count: int, *, rule: Rule | None = USE, size: int | None = None, start: int = 0) -> Table:
    """A map of so many addresses, and a chain that asks it."""
    elements = frozenset(((f"203.0.{n >> 8}.{n & 255}",), ("192.168.1.1",)) for n in range(start, start + count))
    named = packed(NamedSet("m", ("ipv4_addr",), elements, ("ipv4_addr",), size=size))
    chain = Chain("dstnat", Hook("nat", "prerouting", -110), (rule,) if rule else ())
    return Table("nvi", frozenset(), frozenset({named}), frozenset({chain}))


def shape(found: list[Batch]) -> list[str]:
    """Each batch as its first line, or as the numbers of elements that it adds and deletes."""
    return [
        step.text.splitlines()[0]
        if step.text
        else ", ".join(f"{change.verb} {len(change.elements)}" for change in step.elements)
        for step in found
    ]


def chained(found: list[Batch]) -> bool:
    return all(one.after == other.before for one, other in itertools.pairwise(found))


def test_equal_tables_need_no_step() -> None:
    assert batches(table(3), table(3)) == []
    assert batches(None, None) == []


def test_elements_alone_go_in_the_kernels_form_few_or_many() -> None:
    assert shape(batches(table(3), table(4))) == ["add 1"]
    assert shape(batches(table(4), table(3))) == ["delete 1"]
    assert shape(batches(table(3), table(3, start=1))) == ["delete 1, add 1"]
    assert shape(batches(table(10), table(9000))) == ["add 8990"]


def test_few_elements_with_rules_are_one_transaction() -> None:
    (step,) = batches(table(3, rule=None), table(4))
    assert step.text == transaction(table(3, rule=None), table(4))
    (first,) = batches(None, table(MANY))
    assert first.text == transaction(None, table(MANY))


def test_a_large_map_is_made_and_filled_before_a_rule_asks_it() -> None:
    found = batches(None, table(MANY + 1))
    assert shape(found) == [
        "add table inet nvi",
        f"add {MANY + 1}",
        "add chain inet nvi dstnat { type nat hook prerouting priority -110; policy accept; }",
    ]
    assert [step.before for step in found[:1]] == [None]
    assert not found[1].after or not found[1].after.chains
    assert chained(found)
    assert found[-1].after == table(MANY + 1)


def test_a_set_of_prefixes_is_there_before_a_rule_asks_it_however_few() -> None:
    prefixes = NamedSet("s", ("ipv4_addr",), frozenset({(("10.0.0.0/8",), None)}), interval=True)
    asks = Chain("guard", Hook("filter", "postrouting", 300), ((Match(Field("ip saddr"), "==", SetRef("s")),),))
    after = Table("nvi", frozenset(), frozenset({prefixes}), frozenset({asks}))
    made, last = batches(None, after)
    assert made.after == replace(after, chains=frozenset())
    assert "add element inet nvi s { 10.0.0.0/8 }" in made.text
    assert "add rule" not in made.text
    assert last.after == after
    assert shape(batches(made.after, after)) == shape([last])
    assert len(batches(after, replace(after, sets=frozenset({replace(prefixes, elements=frozenset())})))) == 1


def verdict_table(count: int) -> Table:
    elements: frozenset[Element] = frozenset(
        ((f"203.0.{n >> 8}.{n & 255}", "tcp", 80), Verdict("jump", "to_red")) for n in range(count)
    )
    types = ("ipv4_addr", "inet_proto", "inet_service")
    named = packed(NamedSet("tenant_of", types, elements, ("verdict",), interval=True))
    key = Concat((Field("ip daddr"), Field("meta l4proto"), Field("th dport")))
    asks = Chain("tenants", Hook("filter", "prerouting", -150), ((Vmap(key, SetRef("tenant_of")),),))
    target = Chain("to_red", None, ((Verdict("accept"),),))
    return Table("nvi", frozenset(), frozenset({named}), frozenset({asks, target}))


def test_chains_that_verdicts_name_are_made_before_and_empty() -> None:
    made, filled, last = batches(None, verdict_table(5000))
    assert made.text.splitlines()[1] == "add chain inet nvi to_red"
    assert "rule" not in made.text
    assert shape([filled]) == ["add 5000"]
    assert "add rule inet nvi to_red accept" in last.text
    assert last.after == verdict_table(5000)


def test_what_a_killed_apply_left_is_filled_up_and_used() -> None:
    made, filled, _ = batches(None, table(5000))
    assert filled.after
    half = replace(table(2500), chains=frozenset())
    assert shape(batches(half, table(5000)))[:1] == ["add 2500"]
    assert shape(batches(made.after, table(5000)))[:1] == ["add 5000"]
    assert shape(batches(filled.after, table(5000))) == shape(batches(None, table(5000)))[2:]


def test_a_map_that_rules_ask_changes_with_the_rules_whatever_its_size() -> None:
    other = replace(table(5000), counters=frozenset({"n"}))
    (step,) = batches(table(3), other)
    assert step.text == transaction(table(3), other)


def test_a_rule_that_we_cannot_read_may_ask_any_map() -> None:
    unknown = table(3, rule=(Opaque('{"xt": null}'),))
    (step,) = batches(unknown, table(5000))
    assert step.text.startswith("flush chain")


def test_a_map_without_room_is_replaced_in_one_transaction_and_one_with_room_stays() -> None:
    (step,) = batches(table(3, size=4), table(5000, size=16384))
    assert "delete map inet nvi m" in step.text
    assert shape(batches(table(3, size=8192), table(5000, size=16384))) == ["add 4997"]


def test_a_table_keeps_the_room_that_a_map_has_not_the_room_that_is_desired() -> None:
    """Or a map would be filled beyond what the kernel made."""
    (step,) = batches(table(3, size=8192), table(4, size=16384))
    assert [step.after and named.size for named in (step.after.sets if step.after else ())] == [8192]
    half = replace(table(2500, size=8192), chains=frozenset())
    filled = batches(half, table(5000, size=16384))[0].after
    assert [named.size for named in (filled.sets if filled else ())] == [8192]


def test_foreign_objects_are_replaced_in_one_transaction() -> None:
    theirs = replace(table(3), foreign=frozenset({ForeignObject("quota", "theirs")}))
    (step,) = batches(theirs, table(5000))
    assert step.text.startswith("delete table inet nvi\nadd table")


def test_deleting_is_one_transaction() -> None:
    assert shape(batches(table(5000), None)) == ["delete table inet nvi"]
    (step,) = batches(table(5000), replace(table(0, rule=None), sets=frozenset()))
    assert step.text.splitlines() == ["flush chain inet nvi dstnat", "delete map inet nvi m"]


def test_elements_in_text_form_go_as_text() -> None:
    plain = {n: NamedSet("m", ("ipv4_addr",), frozenset({((f"10.0.0.{n}",), None)}), interval=True) for n in (1, 2)}
    (step,) = batches(Table("nvi", sets=frozenset({plain[1]})), Table("nvi", sets=frozenset({plain[2]})))
    assert step.text


def test_the_check_of_a_first_apply_is_everything_but_what_fills_the_maps() -> None:
    (step,) = batches_to_check(None, table(5000))
    assert step.text == transaction(None, table(0))
    assert batches_to_check(table(3), table(4)) == batches(table(3), table(4))
    (again,) = batches_to_check(replace(table(2500), chains=frozenset()), table(5000))
    assert " element " not in again.text
