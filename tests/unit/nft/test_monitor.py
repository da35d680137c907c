"""What led from one generation to another, as far as it was reported, and a table after it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nvi_operator.nft.ast import Element, NamedSet, Table
from nvi_operator.nft.wire.attributes import attribute
from nvi_operator.nft.wire.messages import DELETE_ELEMENT, ELEMENTS, NEW_ELEMENT, SET_NAME, TABLE_NAME
from nvi_operator.nft.wire.monitor import ElementReport, Monitor
from nvi_operator.nft.wire.packed_elements import PackedElements, packed
from nvi_operator.nft.wire.replay import replayed

NEW_RULE = 10 << 8 | 6
NAMED = packed(NamedSet("m", ("ipv4_addr",), frozenset(), ("ipv4_addr",)))
assert isinstance(NAMED.elements, PackedElements)
CODEC = NAMED.elements.codec


def raw(number: int) -> bytes:
    element: Element = ((f"203.0.113.{number}",), ("192.168.1.1",))
    (found,) = CODEC.pack([element])
    return found


def body(elements: bytes, name: str = "m") -> bytes:
    names = attribute(TABLE_NAME, b"nvi\0") + attribute(SET_NAME, name.encode() + b"\0")
    return names + attribute(ELEMENTS, elements)


def table(*numbers: int) -> Table:
    elements = PackedElements(CODEC, frozenset(map(raw, numbers)))
    return Table("nvi", sets=frozenset({replace(NAMED, elements=elements)}))


def report(verb: str, *numbers: int, name: str = "m") -> ElementReport:
    return ElementReport(verb, name, b"".join(map(raw, numbers)))  # type: ignore[arg-type]


@pytest.fixture
def reports() -> Monitor:
    """One that has heard everything since generation 1."""
    made = Monitor()
    made.end(1)
    return made


def test_it_tells_the_changes_of_all_generations_between_in_their_order(reports: Monitor) -> None:
    reports.change(NEW_ELEMENT, body(raw(1)))
    reports.end(2)
    reports.end(3)  # of another process
    reports.change(DELETE_ELEMENT, body(raw(1)))
    reports.end(4)
    assert reports.between(1, 4) == [report("add", 1), report("delete", 1)]
    assert reports.between(2, 3) == []


def test_a_generation_that_was_not_heard_is_not_known(reports: Monitor) -> None:
    reports.end(2)
    reports.end(4)
    assert reports.between(1, 4) is None
    assert reports.between(4, 5) is None


def test_what_is_more_than_elements_is_not_told(reports: Monitor) -> None:
    reports.change(NEW_ELEMENT, body(raw(1)))
    reports.change(NEW_RULE, attribute(TABLE_NAME, b"nvi\0"))
    reports.end(2)
    reports.end(3)
    assert reports.between(1, 3) is None
    assert reports.between(2, 3) == []


@pytest.mark.parametrize(
    "broken",
    [b"\xff\xff", attribute(SET_NAME, b"m\0"), body(raw(1)).replace(b"m\0", b"\xff\0")],
    ids=["no-attributes", "no-elements", "no-name"],
)
def test_a_message_that_cannot_be_read_is_not_passed_over(reports: Monitor, broken: bytes) -> None:
    reports.change(NEW_ELEMENT, broken)
    reports.end(2)
    assert reports.between(1, 2) is None


def test_a_transaction_of_very_many_things_is_not_kept(reports: Monitor) -> None:
    for _ in range(5000):
        reports.change(NEW_ELEMENT, body(raw(1)))
    reports.end(2)
    assert reports.between(1, 2) is None


def test_after_a_gap_neither_what_was_nor_the_transaction_under_way_counts(reports: Monitor) -> None:
    reports.end(2)
    reports.change(NEW_ELEMENT, body(raw(1)))
    reports.gap()
    reports.change(NEW_ELEMENT, body(raw(2)))
    reports.end(3)
    reports.end(4)
    assert reports.between(1, 2) is None
    assert reports.between(2, 3) is None
    assert reports.between(3, 4) == []


def test_what_led_to_a_known_generation_is_not_kept(reports: Monitor) -> None:
    for generation in (2, 3, 4):
        reports.change(NEW_ELEMENT, body(raw(generation)))
        reports.end(generation)
    reports.discard(3)
    assert reports.between(2, 4) is None
    assert reports.between(3, 4) == [report("add", 4)]
    reports.discard(7)  # not reported yet: what leads to it is still to come
    assert reports.between(3, 4) == [report("add", 4)]
    reports.discard(None)
    assert reports.between(3, 4) is None


def test_many_transactions_of_many_things_are_not_all_kept(reports: Monitor) -> None:
    for generation in range(2, 12):
        for _ in range(200):
            reports.change(NEW_ELEMENT, body(raw(1)))
        reports.end(generation)
    assert reports.between(1, 11) is None
    assert len(reports.between(7, 11) or ()) == 800


def test_generations_go_on_after_the_largest() -> None:
    reports = Monitor()
    reports.end(0xFFFFFFFF)
    reports.end(1)
    assert reports.between(0xFFFFFFFF, 1) == []


# --------------------------------------------------------------------------- a table after it


def test_a_table_follows_what_comes_and_goes() -> None:
    assert replayed(table(1, 2), [report("delete", 1), report("add", 3, 4)]) == table(2, 3, 4)
    assert replayed(table(1), [report("delete", 1), report("add", 1)]) == table(1)
    assert replayed(table(1), [report("add", 2), report("delete", 2), report("add", 2)]) == table(1, 2)
    assert replayed(table(1), []) == table(1)


@pytest.mark.parametrize(
    "reported",
    [
        [report("add", 1)],
        [report("delete", 2)],
        [report("delete", 1), report("delete", 1)],
        [report("add", 2), report("add", 2)],
        [report("add", 2, name="other")],
    ],
    ids=["is-there", "is-not-there", "went-twice", "came-twice", "another-set"],
)
def test_what_does_not_fit_is_not_followed(reported: list[ElementReport]) -> None:
    assert replayed(table(1), reported) is None


def test_sets_of_prefixes_are_not_followed() -> None:
    prefixes = NamedSet("m", ("ipv4_addr",), frozenset({(("10.0.0.0/8",), None)}), interval=True)
    assert replayed(Table("nvi", sets=frozenset({prefixes})), [report("add", 1)]) is None
