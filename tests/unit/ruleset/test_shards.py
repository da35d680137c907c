"""Maps of very many elements are several."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from itertools import repeat

import pytest

from nvi_operator.nft.ast import Chain, Field, Hook, Lookup, NamedSet, Nat, SetRef, Table
from nvi_operator.nft.batches import steps
from nvi_operator.nft.wire.codec import layout
from nvi_operator.nft.wire.packed_elements import PackedElements
from nvi_operator.ruleset.shards import ROOM, by_whole, shards

KEY, VALUES = ("ipv4_addr", "inet_proto", "inet_service"), ("ipv4_addr", "inet_service")


def forwards(count: int, *, port: int = 80, first: int = 0) -> NamedSet:
    numbers = range(first, count)
    public = [IPv4Address(203 << 24 | n >> 8) for n in numbers]
    columns = (public, repeat("tcp"), [1 + n % 256 for n in numbers], repeat(IPv4Address("10.0.0.1")), repeat(port))
    form = layout(KEY, VALUES)
    assert form is not None
    return NamedSet("dnat_port_4", KEY, PackedElements(form, frozenset(form.pack_columns(columns))), VALUES)


def table(maps: Sequence[NamedSet]) -> Table:
    key = Field("ip daddr")
    rules = tuple((Nat("dnat", 4, Lookup(key, SetRef(named.name))),) for named in maps)
    return Table(
        "nvi", sets=frozenset(maps), chains=frozenset({Chain("dstnat", Hook("nat", "prerouting", 0), rules)})
    )


@pytest.mark.parametrize(("count", "maps"), [(1, 1), (ROOM // 2, 1), (ROOM // 2 + 1, 2), (ROOM, 2), (ROOM + 1, 4)])
def test_there_are_as_many_as_keep_each_half_empty(count: int, maps: int) -> None:
    made = shards(forwards(count))
    assert len(made) == maps
    assert sum(len(named.elements) for named in made) == count
    for named in made:
        assert named.size is not None
        assert len(named.elements) <= 0.55 * max(named.size, 1024)


def test_one_map_keeps_its_name_and_several_say_how_many_they_are() -> None:
    assert [named.name for named in shards(forwards(10))] == ["dnat_port_4"]
    assert [named.name for named in shards(forwards(ROOM))] == ["dnat_port_4_0_of_2", "dnat_port_4_1_of_2"]


def test_they_are_found_again_by_the_name_of_the_whole() -> None:
    made = shards(forwards(ROOM + 1))
    assert by_whole([*reversed(made), forwards(1)])["dnat_port_4"][1:] == list(made[1:])


def test_where_an_element_is_says_its_key_alone() -> None:
    """So that two forwards of one port would meet, and one more moves none of the others."""
    for number in range(50):
        one, other = (forwards(number + 1, first=number, port=port).elements for port in (80, 8080))
        assert [len(part) for part in one.parts(8)] == [len(part) for part in other.parts(8)]  # type: ignore[attr-defined]
    before, after = shards(forwards(ROOM - 1)), shards(forwards(ROOM))
    assert sum(a.elements != b.elements for a, b in zip(before, after, strict=True)) == 1


def test_when_one_map_is_not_enough_the_new_ones_are_filled_before_anybody_asks_them() -> None:
    before, after = table(shards(forwards(ROOM // 2))), table(shards(forwards(ROOM // 2 + 1)))
    made, *filled, turned = steps(before, after)
    assert "add map inet nvi dnat_port_4_1_of_2" in made.text
    assert "rule" not in made.text
    assert sum(len(change.elements) for step in filled for change in step.elements) == ROOM // 2 + 1
    assert turned.text.count("\n") < 10, "elements would be slow as text"
    assert "delete map inet nvi dnat_port_4\n" in turned.text
    assert turned.after == after
