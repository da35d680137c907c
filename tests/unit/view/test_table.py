"""Tables: one entry a line in a pipe; on a terminal as wide as it, and no word broken."""

from __future__ import annotations

from io import StringIO

from rich.console import Console, RenderableType
from rich.text import Text

from nvi_operator.view.table import LabelledText, TextTable

HEADING = ("name", "packets", "addresses")
ROWS = [
    ("isp-a", "5", "203.0.113.2, 2001:db8:a::2"),
    ("fibre-in-the-northern-building", "12", "198.51.100.2, 2001:db8:b::2"),
]
TABLE = TextTable("uplinks", HEADING, frozenset({1}), ROWS)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def shown(what: RenderableType, width: int, file: StringIO) -> list[str]:
    Console(file=file, width=width, soft_wrap=True, color_system=None).print(what)
    return file.getvalue().splitlines()


def test_in_a_pipe_an_entry_is_a_line_however_narrow_the_terminal_would_be() -> None:
    assert shown(TABLE, 20, StringIO()) == [
        "uplinks",
        "name                            packets  addresses",
        "isp-a                                 5  203.0.113.2, 2001:db8:a::2",
        "fibre-in-the-northern-building       12  198.51.100.2, 2001:db8:b::2",
    ]


def test_a_terminal_that_is_wide_enough_shows_the_same() -> None:
    assert shown(TABLE, 80, Terminal()) == shown(TABLE, 80, StringIO())


def test_a_narrower_one_breaks_between_words() -> None:
    assert shown(TABLE, 60, Terminal()) == [
        "uplinks",
        "name                            packets  addresses",
        "isp-a                                 5  203.0.113.2,",
        "                                         2001:db8:a::2",
        "fibre-in-the-northern-building       12  198.51.100.2,",
        "                                         2001:db8:b::2",
    ]


def test_one_on_which_the_longest_words_have_no_room_shows_fields_below_each_other() -> None:
    assert shown(TABLE, 40, Terminal()) == [
        "uplinks",
        "isp-a",
        "  packets: 5",
        "  addresses: 203.0.113.2, 2001:db8:a::2",
        "fibre-in-the-northern-building",
        "  packets: 12",
        "  addresses: 198.51.100.2, 2001:db8:b::2",
    ]


def test_a_labelled_text_hangs_behind_its_label() -> None:
    entry = LabelledText(Text("note    "), "main has no IPv6 default route through wan0 now")
    assert shown(entry, 30, Terminal()) == [
        "note    main has no IPv6",
        "        default route through",
        "        wan0 now",
    ]
    assert shown(entry, 30, StringIO()) == ["note    main has no IPv6 default route through wan0 now"]


def test_a_table_without_rows_is_its_title_and_heading() -> None:
    assert shown(TextTable("uplinks", HEADING), 20, StringIO()) == ["uplinks", "name  packets  addresses"]
