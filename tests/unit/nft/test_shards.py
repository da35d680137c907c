"""Maps of very many elements are several."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from nvi_operator.nft.ast import (
    Chain,
    Count,
    Field,
    Hook,
    Lookup,
    Match,
    NamedSet,
    Nat,
    Rule,
    SetRef,
    Shard,
    Table,
    Vmap,
)
from nvi_operator.nft.batches import batches
from nvi_operator.nft.columns import ElementColumns
from nvi_operator.nft.incremental import edit_table
from nvi_operator.nft.packing import pack_table
from nvi_operator.nft.shards import ROOM, by_whole
from nvi_operator.nft.text import rule_text
from nvi_operator.nft.wire.packed_elements import packed

KEY, VALUES = ("ipv4_addr", "inet_proto", "inet_service"), ("ipv4_addr", "inet_service")


def forwards(count: int, *, port: int = 80, first: int = 0) -> NamedSet:
    numbers = range(first, count)
    size = len(numbers)
    columns = (
        [IPv4Address(203 << 24 | n >> 8) for n in numbers],
        ["tcp"] * size,
        [1 + n % 256 for n in numbers],
        [IPv4Address("10.0.0.1")] * size,
        [port] * size,
    )
    return NamedSet("dnat_port_4", KEY, ElementColumns(columns, len(KEY)), VALUES)


def stored(named: NamedSet) -> list[NamedSet]:
    """The maps that a table has for this one, in the order in which its rules ask them."""
    return maps_of(pack_table(table(named)))


def maps_of(table: Table) -> list[NamedSet]:
    (maps,) = by_whole(table.sets).values()
    return maps


def table(named: NamedSet, *others: Rule) -> Table:
    """A table with this map, which a rule of NAT asks, and perhaps other rules."""
    rule: Rule = (Nat("dnat", 4, Lookup(Field("ip daddr"), SetRef(named.name))), Count("n"))
    chain = Chain("dstnat", Hook("nat", "prerouting", 0), ((Count("n"),), rule, *others))
    return Table("nvi", sets=frozenset({named}), chains=frozenset({chain}))


@pytest.mark.parametrize(("count", "maps"), [(1, 1), (ROOM // 2, 1), (ROOM // 2 + 1, 2), (ROOM, 2), (ROOM + 1, 4)])
def test_there_are_as_many_as_keep_each_half_empty(count: int, maps: int) -> None:
    made = stored(forwards(count))
    assert len(made) == maps
    assert sum(len(named.elements) for named in made) == count
    for named in made:
        assert named.size is not None
        assert len(named.elements) <= 0.55 * max(named.size, 1024)


def test_one_map_keeps_its_name_and_several_say_how_many_they_are() -> None:
    assert [named.name for named in stored(forwards(10))] == ["dnat_port_4"]
    assert [named.name for named in stored(forwards(ROOM))] == ["dnat_port_4_0_of_2", "dnat_port_4_1_of_2"]


def test_a_rule_that_asks_the_map_is_a_rule_for_each_shard_in_its_place() -> None:
    (chain,) = pack_table(table(forwards(ROOM), (Count("last"),))).chains
    assert [rule_text(rule) for rule in chain.rules] == [
        'counter name "n"',
        'dnat ip to ip daddr map @dnat_port_4_0_of_2 counter name "n"',
        'dnat ip to ip daddr map @dnat_port_4_1_of_2 counter name "n"',
        'counter name "last"',
    ]


@pytest.mark.parametrize(
    "rule",
    [(Match(Field("ip daddr"), "!=", SetRef("dnat_port_4")),), (Vmap(Field("ip daddr"), SetRef("dnat_port_4")),)],
    ids=["a-match", "a-verdict"],
)
def test_a_map_that_is_asked_for_every_packet_stays_one(rule: Rule) -> None:
    packed = pack_table(table(forwards(ROOM), rule))
    assert [named.name for named in packed.sets] == ["dnat_port_4"]
    assert packed.chains == table(forwards(ROOM), rule).chains


def test_a_shard_is_known_again_in_a_listing() -> None:
    made = stored(forwards(ROOM))
    assert [Shard.named(named.name) for named in made] == [named.shard for named in made]
    assert Shard.named("dnat_port_4") is None


def test_shards_are_found_by_the_map_that_they_are_parts_of_whatever_their_names() -> None:
    made = stored(forwards(ROOM + 1))
    renamed = [replace(named, name=f"m{number}") for number, named in enumerate(made)]
    assert by_whole(reversed(renamed)) == {"dnat_port_4": renamed}


def test_the_key_alone_selects_the_shard() -> None:
    """Two forwards of one port meet, and one more forward moves none of the others."""
    one, other = (stored(forwards(ROOM, port=port)) for port in (80, 8080))
    assert [len(named.elements) for named in one] == [len(named.elements) for named in other]
    before, after = stored(forwards(ROOM - 1)), stored(forwards(ROOM))
    assert sum(a.elements != b.elements for a, b in zip(before, after, strict=True)) == 1


def test_an_edit_makes_the_same_table_as_the_whole_way() -> None:
    before, after = pack_table(table(forwards(ROOM))), pack_table(table(forwards(ROOM, first=1)))
    assert edit_table(before, [forwards(1)], []) == after
    assert edit_table(after, [], [forwards(1)]) == before
    edited = edit_table(before, [forwards(1)], [forwards(1, port=8080)])
    assert edited is not None
    assert [a.elements == b.elements for a, b in zip(maps_of(before), maps_of(edited), strict=True)].count(False) == 1


def test_an_edit_that_changes_the_number_of_shards_or_the_maps_needs_the_whole_way() -> None:
    other = replace(forwards(1), name="dnat_all_4")
    assert edit_table(pack_table(table(forwards(ROOM // 2))), [], [forwards(ROOM // 2 + 1, first=ROOM // 2)]) is None
    assert edit_table(pack_table(table(forwards(5))), [forwards(5)], []) is None
    assert edit_table(pack_table(table(forwards(5))), [], [other]) is None
    assert edit_table(pack_table(table(forwards(5))), [forwards(6, first=5)], []) is None


def test_when_one_map_is_not_enough_the_new_ones_are_filled_before_any_rule_asks_them() -> None:
    before, after = (pack_table(table(forwards(count))) for count in (ROOM // 2, ROOM // 2 + 1))
    made, *filled, turned = batches(before, after)
    assert "add map inet nvi dnat_port_4_1_of_2" in made.text
    assert "rule" not in made.text
    assert sum(len(change.elements) for step in filled for change in step.elements) == ROOM // 2 + 1
    assert turned.text.count("\n") < 10, "elements would be slow as text"
    assert "delete map inet nvi dnat_port_4\n" in turned.text
    assert turned.after == after


def test_columns_are_the_elements_that_they_stand_for() -> None:
    columns = forwards(3).elements
    assert len(columns) == 3
    assert (("203.0.0.0", "tcp", 1), ("10.0.0.1", 80)) in columns
    assert columns == frozenset(columns)
    assert packed(forwards(3)).elements == frozenset(columns)
