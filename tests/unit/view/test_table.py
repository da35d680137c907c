"""Tables: one entry a line in a pipe; on a terminal as wide as it, and no word broken."""

from __future__ import annotations

from nvi_operator.view.segment import line
from nvi_operator.view.table import TextTable, labelled
from tests.unit.view.lines import lines_of

HEADING = ("name", "packets", "addresses")
ROWS = [
    ("isp-a", "5", "203.0.113.2, 2001:db8:a::2"),
    ("fibre-in-the-northern-building", "12", "198.51.100.2, 2001:db8:b::2"),
]
TABLE = TextTable("uplinks", HEADING, frozenset({1}), ROWS)


def test_in_a_pipe_an_entry_is_a_line_however_narrow_the_terminal_would_be() -> None:
    assert lines_of(TABLE.drawn(None)) == [
        "uplinks",
        "name                            packets  addresses",
        "isp-a                                 5  203.0.113.2, 2001:db8:a::2",
        "fibre-in-the-northern-building       12  198.51.100.2, 2001:db8:b::2",
    ]


def test_a_terminal_that_is_wide_enough_shows_the_same() -> None:
    assert lines_of(TABLE.drawn(80)) == lines_of(TABLE.drawn(None))


def test_a_narrower_one_breaks_between_words() -> None:
    assert lines_of(TABLE.drawn(60)) == [
        "uplinks",
        "name                            packets  addresses",
        "isp-a                                 5  203.0.113.2,",
        "                                         2001:db8:a::2",
        "fibre-in-the-northern-building       12  198.51.100.2,",
        "                                         2001:db8:b::2",
    ]


def test_one_on_which_the_longest_words_have_no_room_shows_fields_below_each_other() -> None:
    assert lines_of(TABLE.drawn(40)) == [
        "uplinks",
        "isp-a",
        "  packets: 5",
        "  addresses: 203.0.113.2, 2001:db8:a::2",
        "fibre-in-the-northern-building",
        "  packets: 12",
        "  addresses: 198.51.100.2, 2001:db8:b::2",
    ]


def test_a_column_that_no_row_fills_is_left_out() -> None:
    table = TextTable("revisions", ("number", "commit", "steps"), frozenset({2}), [("1", "", "87"), ("2", "", "1")])
    assert lines_of(table.drawn(80)) == ["revisions", "number  steps", "1          87", "2           1"]


def test_fields_below_each_other_leave_out_those_without_a_value() -> None:
    table = TextTable("uplinks", HEADING, frozenset({1}), [("isp-a", "5", ""), *ROWS[1:]])
    assert lines_of(table.drawn(40))[:3] == ["uplinks", "isp-a", "  packets: 5"]


def test_a_title_that_is_wider_than_the_terminal_breaks_between_words() -> None:
    table = TextTable("addresses that flows leave with", ("name",), rows=[("isp-a",)])
    assert lines_of(table.drawn(20)) == ["addresses that flows", "leave with", "name", "isp-a"]


def test_a_labelled_text_hangs_behind_its_label() -> None:
    label, text = line("note    "), "main has no IPv6 default route through wan0 now"
    assert lines_of(labelled(label, text, 30)) == [
        "note    main has no IPv6",
        "        default route through",
        "        wan0 now",
    ]
    assert lines_of(labelled(label, text, None)) == ["note    main has no IPv6 default route through wan0 now"]
    for width in (30, None):
        assert lines_of(labelled(label, "one\n  two", width)) == ["note    one", "          two"]


def test_a_table_without_rows_is_its_title_and_heading() -> None:
    assert lines_of(TextTable("uplinks", HEADING).drawn(None)) == ["uplinks", "name  packets  addresses"]
