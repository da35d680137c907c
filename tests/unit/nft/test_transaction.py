"""The transaction between two tables is the least that does it, in an order that nft takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nvi_operator.errors import KernelError
from nvi_operator.language.load.loader import load_texts
from nvi_operator.nft.ast import Chain, Element, ForeignObject, Hook, Match, NamedSet, SetRef, Table, Verdict
from nvi_operator.nft.ast import Field as NftField
from nvi_operator.nft.transaction import transaction
from nvi_operator.plan.compile import desired_state
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.resolve import resolve

HEAD = """
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces:
    lan0: { networks: 192.168.1.0/24 }
  uplinks:
    isp-a: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, default: true }
    isp-b: { interface: wan1, nextHop: 198.51.100.1, addresses: 198.51.100.2 }
"""
LINE = "  sourceNat: [ { name: everyone, as: isp-a } ]\n"
FORWARD = "  forwards:\n    web: { at: isp-a, ports: 443/tcp, to: 192.168.1.80 }\n"


def table(text: str) -> Table:
    loaded = load_texts({"edge.yaml": HEAD + text})
    state = desired_state(resolve("edge", loaded.spec, assume_missing(loaded.spec, Facts("host"))))
    (found,) = state.of_kind("nft-table")
    assert isinstance(found, Table)
    return found


def lines(before: Table | None, after: Table | None) -> list[str]:
    return transaction(before, after).splitlines()


def small(*elements: str, name: str = "s", size: int | None = None, rule: str = "10.0.0.1") -> Table:
    """A table with one set, and one chain that uses it."""
    members: frozenset[Element] = frozenset(((element,), None) for element in elements)
    chain = Chain(
        "c",
        Hook("filter", "forward", 0),
        (
            (Match(NftField("ip saddr"), "==", SetRef(name)), Verdict("drop")),
            (Match(NftField("ip daddr"), "==", rule),),
        ),
    )
    other = Chain("other", None, ((Verdict("accept"),),))
    sets = frozenset({NamedSet(name, ("ipv4_addr",), members, size=size)})
    return Table("nvi", frozenset({"n"}), sets, frozenset({chain, other}))


def test_equal_tables_need_nothing() -> None:
    assert transaction(table(LINE), table(LINE)) == ""
    assert transaction(None, None) == ""


def test_a_table_is_created_and_deleted_as_a_whole() -> None:
    assert lines(None, small())[0] == "add table inet nvi"
    assert lines(small(), None) == ["delete table inet nvi"]


def test_one_forward_more_is_exactly_one_element_more() -> None:
    more = FORWARD + "    mail: { at: isp-b, ports: 25/tcp, to: 192.168.1.81 }\n"
    forth = "add element inet nvi dnat_port_4 { 198.51.100.2 . tcp . 25 : 192.168.1.81 . 25 }"
    assert lines(table(LINE + FORWARD), table(LINE + more)) == [forth]
    back = "delete element inet nvi dnat_port_4 { 198.51.100.2 . tcp . 25 : 192.168.1.81 . 25 }"
    assert lines(table(LINE + more), table(LINE + FORWARD)) == [back]


def test_a_forward_to_another_server_is_one_element_out_and_one_in() -> None:
    moved = FORWARD.replace("192.168.1.80", "192.168.1.99")
    assert lines(table(LINE + FORWARD), table(LINE + moved)) == [
        "delete element inet nvi dnat_port_4 { 203.0.113.2 . tcp . 443 : 192.168.1.80 . 443 }",
        "add element inet nvi dnat_port_4 { 203.0.113.2 . tcp . 443 : 192.168.1.99 . 443 }",
    ]


def test_a_rule_of_source_nat_touches_its_own_chain_only() -> None:
    more = LINE.replace("[ {", "[ { name: server, from: 192.168.1.80, as: isp-b }, {")
    found = lines(table(LINE), table(more))
    assert [line for line in found if line.startswith("flush")] == ["flush chain inet nvi srcnat"]
    assert {line.split()[4] for line in found if line.startswith("add rule")} == {"srcnat"}
    assert [line for line in found if "counter inet" in line] == ["add counter inet nvi snat_server"]
    assert not [line for line in found if " element " in line or " set " in line.partition("{")[0]]


def test_a_changed_rule_flushes_only_its_chain() -> None:
    assert lines(small("10.0.0.9"), small("10.0.0.9", rule="10.0.0.2")) == [
        "flush chain inet nvi c",
        "add rule inet nvi c ip saddr @s drop",
        "add rule inet nvi c ip daddr 10.0.0.2",
    ]


def test_a_set_without_room_is_replaced_after_every_rule_let_go_of_it() -> None:
    assert lines(small("10.0.0.9", size=1), small("10.0.0.9", "10.0.0.8", size=9)) == [
        "flush chain inet nvi c",
        "flush chain inet nvi other",
        "delete set inet nvi s",
        "add set inet nvi s { type ipv4_addr; size 9; }",
        "add element inet nvi s { 10.0.0.8, 10.0.0.9 }",
        "add rule inet nvi c ip saddr @s drop",
        "add rule inet nvi c ip daddr 10.0.0.1",
        "add rule inet nvi other accept",
    ]


def test_a_set_with_room_enough_stays_whatever_room_is_desired() -> None:
    assert small("10.0.0.9", size=8) == small("10.0.0.9", size=2)
    more = small("10.0.0.9", "10.0.0.8", size=2)
    assert lines(small("10.0.0.9", size=8), more) == ["add element inet nvi s { 10.0.0.8 }"]


def test_a_chain_with_another_hook_is_replaced() -> None:
    before = small()
    after = replace(
        before, chains=frozenset(replace(c, hook=c.hook and replace(c.hook, priority=5)) for c in before.chains)
    )
    found = lines(before, after)
    assert found.index("delete chain inet nvi c") < found.index(
        "add chain inet nvi c { type filter hook forward priority 5; policy accept; }"
    )
    assert "delete chain inet nvi other" not in found


@pytest.mark.parametrize(
    "read",
    [
        {"foreign": frozenset({ForeignObject("quota", "theirs")})},
        {"foreign": frozenset({ForeignObject("set", "s", "timeout")})},
        {"flags": frozenset({"dormant"})},
    ],
    ids=["another-kind-of-object", "a-set-with-a-timeout", "a-dormant-table"],
)
def test_a_table_with_foreign_objects_or_flags_is_replaced_in_one_transaction(read: dict[str, Any]) -> None:
    desired = small("10.0.0.9")
    found = lines(replace(desired, **read), desired)
    assert found[0] == "delete table inet nvi"
    assert found[1:] == lines(None, desired)


def test_flags_of_a_table_can_be_put_back_and_foreign_objects_cannot() -> None:
    dormant = replace(small(), flags=frozenset({"dormant"}))
    assert lines(small(), dormant)[:2] == ["delete table inet nvi", "add table inet nvi { flags dormant; }"]
    with pytest.raises(KernelError, match="nft table inet nvi: quota theirs: nvictl cannot create"):
        transaction(small(), replace(small(), foreign=frozenset({ForeignObject("quota", "theirs")})))


def test_many_elements_are_several_commands_of_sane_length() -> None:
    many = [f"10.{n >> 8}.{n & 255}.1" for n in range(4500)]
    found = [line for line in lines(small(), small(*many)) if line.startswith("add element")]
    assert [line.count(",") + 1 for line in found] == [2000, 2000, 500]


def test_the_inverse_of_a_transaction_names_the_same_elements() -> None:
    forth, back = lines(small("10.0.0.1"), small("10.0.0.2")), lines(small("10.0.0.2"), small("10.0.0.1"))
    assert [line.replace("add", "delete") for line in forth if "add element" in line] == [
        line for line in back if "delete element" in line
    ]
