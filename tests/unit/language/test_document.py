"""YAML 1.2 with places: what is read, what is refused, and where it says so."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from nvi_operator.errors import Position, SpecError, SpecProblem
from nvi_operator.language.load import yaml_reader as document
from nvi_operator.language.load.yaml_reader import MAX_DEPTH, parse

SCALARS: dict[str, Any] = {
    "no": "no",
    "yes": "yes",
    "on": "on",
    "off": "off",
    "Y": "Y",
    "true": True,
    "True": True,
    "TRUE": True,
    "tRUE": "tRUE",
    "false": False,
    "null": None,
    "Null": None,
    "~": None,
    "nil": "nil",
    "22": 22,
    "-7": -7,
    "+7": 7,
    "0": 0,
    "0o10": 8,
    "0x1F": 31,
    "0b11": "0b11",
    "1_000": "1_000",
    "22:22": "22:22",
    "00:11:22:33:44:55": "00:11:22:33:44:55",
    "1.5": 1.5,
    ".5": 0.5,
    "1e3": 1000.0,
    "-.inf": -math.inf,
    "192.0.2.1": "192.0.2.1",
    "192.0.2.0/24": "192.0.2.0/24",
    "2001:db8::1": "2001:db8::1",
    "443/tcp": "443/tcp",
    "8000-8010": "8000-8010",
    "2024-01-02": "2024-01-02",
    "=": "=",
    "'22'": "22",
    '"true"': "true",
    "'010'": "010",
    "''": "",
}


@pytest.fixture(params=["libyaml", "pure"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """libyaml where PyYAML has it, and PyYAML's own scanner, which stands in for it elsewhere."""
    if request.param == "pure":
        monkeypatch.setattr(document, "_LOADER", yaml.Loader)
    return str(request.param)


@pytest.mark.parametrize(("text", "value"), SCALARS.items(), ids=SCALARS)
def test_a_scalar_is_what_the_core_schema_of_yaml_1_2_says(text: str, value: Any) -> None:
    (found,) = parse(f"a: {text}\n", "f")
    assert found.data == {"a": value}
    assert type(found.data["a"]) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(parse("a: .nan", "f")[0].data["a"])


def test_an_empty_value_is_null_and_has_a_place() -> None:
    (found,) = parse("a:\nb: 1\n", "f")
    assert found.data == {"a": None, "b": 1}
    assert found.find(("a",)) == Position("f", 1, 3)


def test_every_value_and_key_has_a_place(loader: str) -> None:
    (found,) = parse("# é\na:\n  - b\n  - {c: d, 'é': [1, 2]}\ne: |\n  text\n", "f")
    assert found.find(()) == Position("f", 2, 1)
    assert found.find(("a",)) == Position("f", 3, 3)
    assert found.find(("a",), key=True) == Position("f", 2, 1)
    assert found.find(("a", 0)) == Position("f", 3, 5)
    assert found.find(("a", 1, "c"), key=True) == Position("f", 4, 6)
    assert found.find(("a", 1, "c")) == Position("f", 4, 9)
    assert found.find(("a", 1, "é", 1)) == Position("f", 4, 21)
    assert found.find(("e",)) == Position("f", 5, 4)


@pytest.mark.parametrize(
    ("path", "column"),
    [(("a", "x"), 4), (("a", "b", "c", "d"), 8), (("x",), 1), (("a", 0), 4), (("l", 7), 15), (("l", -1), 15)],
    ids=["missing key", "below a scalar", "missing at the top", "index into a mapping", "too far", "negative"],
)
def test_what_is_missing_is_where_its_nearest_parent_is(path: tuple[str | int, ...], column: int) -> None:
    (found,) = parse("a: {b: 1}\n" if path[0] != "l" else "a: {b: 1}".ljust(10) + "\nl: [1]\n", "f")
    position = found.find(path)
    assert position == (Position("f", 2, 4) if path[0] == "l" else Position("f", 1, column))


def test_documents_are_told_apart_and_empty_ones_left_out() -> None:
    found = parse("---\n# nothing\n---\na: 1\n...\n---\nb: 2\n", "f")
    assert [d.data for d in found] == [{"a": 1}, {"b": 2}]
    assert found[1].find(("b",)) == Position("f", 7, 4)
    assert parse("", "f") == []
    assert parse("# only a comment\n", "f") == []


def test_a_byte_order_mark_moves_nothing() -> None:
    assert parse(b"\xef\xbb\xbfa: 1\n", "f")[0].find(("a",)) == Position("f", 1, 4)


NO_SPACE = "not YAML: a key without a space after its ':'"
REFUSED: dict[str, tuple[str | bytes, str, str, str]] = {
    "duplicate key": (
        "a: 1\nb: 2\na: 3\n",
        "3:1",
        "'a' is already defined at f:1:1",
        "keep one of them, or rename one",
    ),
    "duplicate key in flow": (
        "{a: 1, 'a': 2}",
        "1:8",
        "'a' is already defined at f:1:2",
        "keep one of them, or rename one",
    ),
    "alias": ("a: *x\n", "1:4", "*x is an alias: aliases are not allowed", "write the value out"),
    "anchor": ("a: &x 1\n", "1:4", "&x is an anchor: anchors are not allowed", "write it out each time"),
    "tag": ("a: !!int '1'\n", "1:4", "!!int is a tag: tags are not allowed", "leave the tag out"),
    "own tag": ("a: !x {b: 1}\n", "1:4", "!x is a tag: tags are not allowed", "leave the tag out"),
    "empty tag": ("a: ! 5\n", "1:4", "! is a tag: tags are not allowed", "leave the tag out"),
    "merge key": (
        "a: {<<: {b: 1}}\n",
        "1:5",
        "<< is a merge key: merge keys are not allowed",
        "write the fields out",
    ),
    "number as key": ("22: a\n", "1:1", "22 is not a key: keys are text", "put the key in quotes"),
    "boolean as key": ("a: 1\ntrue: a\n", "2:1", "true is not a key: keys are text", "put the key in quotes"),
    "null as key": ("? \n: a\n", "1:2", "nothing is not a key: keys are text", "write a name before the ':'"),
    "tilde as key": ("~: a\n", "1:1", "~ is not a key: keys are text", "write a name before the ':'"),
    "list as key": (
        "? [a, b]\n: b\n",
        "1:3",
        "a list is not a key: keys are text",
        "write an entry for each of them",
    ),
    "mapping as key": (
        "{{ x }}: b\n",
        "1:2",
        "a mapping is not a key: keys are text",
        "write a name before the ':', and the mapping after it",
    ),
    "long key": (
        f"? 1.{'0' * 300_000}\n: b\n",
        "1:3",
        f"1.{'0' * 55}... is not a key: keys are text",
        "put the key in quotes",
    ),
    "long key, twice": (
        f"? {'a' * 300_000}\n: 1\n? {'a' * 300_000}\n: 2\n",
        "3:3",
        f"'{'a' * 55}...' is already defined at f:1:3",
        "keep one of them, or rename one",
    ),
    "long tag": (
        f"a: !{'x' * 999} b\n",
        "1:4",
        f"!{'x' * 56}... is a tag: tags are not allowed",
        "leave the tag out",
    ),
    "octal of 1.1": (
        "a: 010\n",
        "1:4",
        "010 is ambiguous: an octal number to YAML 1.1, 10 to YAML 1.2",
        "write 10, or 0o10 for octal, or quote it if it is text",
    ),
    "leading zero": (
        "a: 089\n",
        "1:4",
        "089 is ambiguous: text to some readers of YAML, 89 to others",
        "write 89, or quote it if it is text",
    ),
    "huge number": (
        "a: " + "9" * 5000,
        "1:4",
        "'" + "9" * 55 + "...' is too large a number",
        "put it in quotes if it is text",
    ),
    "not UTF-8": (b"# \xc3\xa9\na: \xc3\xa9\xe9\n", "2:5", "byte 0xe9 is not UTF-8", "save the file in UTF-8"),
    "UTF-16": ("a: 1".encode("utf-16"), "1:1", "byte 0xff is not UTF-8", "save the file in UTF-8"),
    "cut short in a letter": (b"a: \xc3", "1:4", "byte 0xc3 is not UTF-8", "save the file in UTF-8"),
    "lone surrogate": ("a: \ud800", "1:4", "byte 0xed is not UTF-8", "save the file in UTF-8"),
    "control character": (
        "é: é\né: \x01",
        "2:4",
        "U+0001 is not allowed in YAML",
        "remove this invisible character",
    ),
    "line separator in a comment": (
        "a: 1 # note\u2028b: 2",
        "1:12",
        "U+2028 is not allowed: some readers of YAML begin a new line here, and some do not",
        "remove this invisible character",
    ),
    "NUL": ("a: \0", "1:4", "U+0000 is not allowed in YAML", "remove this invisible character"),
    "tab": ("a:\n\tb: 1\n", "2:1", "not YAML: a tab where only spaces may be", "indent with spaces"),
    "reserved sign": ("a: @x\n", "1:4", "not YAML: '@' cannot start a value", "put quotes around the whole value"),
    "open list": ("a: [1, 2\n", "1:4", "not YAML: a list that [ began is not closed", "close it with ]"),
    "open mapping": ("a: {b: 2\n", "1:4", "not YAML: a mapping that { began is not closed", "close it with }"),
    "open quote": ("a: 'x\n", "1:4", "not YAML: the file ends inside a quoted text", "close the quotes"),
    "colon in a value": (
        "a: b: c\n",
        "1:5",
        "not YAML: a ': ' where no new key can be",
        "put quotes around the whole value, or check the indentation",
    ),
    "colon in a value of a list": (
        "a:\n  - b: c: d\n",
        "2:9",
        "not YAML: a ': ' where no new key can be",
        "put quotes around the whole value, or check the indentation",
    ),
    "no space after the first colon": (
        "a:\n  ports:443/tcp # web\n  to: b\n",
        "2:3",
        NO_SPACE,
        "write `ports: 443/tcp`",
    ),
    "no space after a later colon": (
        "a:\n  at: b\n  ports:443/tcp\n  to: b\n",
        "3:3",
        NO_SPACE,
        "write `ports: 443/tcp`",
    ),
    "no space after the last colon": ("a:\n  to: b\n  ports:443/tcp\n", "3:3", NO_SPACE, "write `ports: 443/tcp`"),
    "no space after a section's colon": ("forwards:{}\nstatic: {}\n", "1:1", NO_SPACE, "write `forwards: {}`"),
    "no space in a list": ("a:\n  - name:x\n\n    as: b\n", "2:5", NO_SPACE, "write `name: x`"),
    "no space after what may be no field": (
        "a:\n  fd00:1::80\n  to: b\n",
        "3:5",
        "not YAML: a ': ' where no new key can be",
        "put quotes around the whole value, or check the indentation",
    ),
    "no colon": (
        "a:\n  to: b\n  lan0:{}\nc: d\n",
        "3:3",
        "not YAML: a key without its ':'",
        "write `key: value`, with a space after the colon",
    ),
    "indentation": (
        "a:\n   b: 1\n  c: 2\n",
        "3:3",
        "not YAML: this line is indented neither as a key nor as a value",
        "check the indentation of this line and of those before it",
    ),
    "too deep": (
        "[" * 500,
        f"1:{MAX_DEPTH + 1}",
        f"nested more than {MAX_DEPTH} deep",
        "no gateway needs this: check the brackets",
    ),
    "YAML 1.1": (
        "%YAML 1.1\n---\na: no\n",
        "1:1",
        "this document says it is YAML 1.1: specs are YAML 1.2",
        "remove the %YAML line; no, yes, on and off are text here",
    ),
}


@pytest.mark.parametrize(("text", "where", "message", "hint"), REFUSED.values(), ids=REFUSED)
def test_text_that_is_no_document_is_refused_with_its_place_and_a_hint(
    loader: str, text: str | bytes, where: str, message: str, hint: str
) -> None:
    with pytest.raises(SpecError) as caught:
        parse(text, "f")
    first = caught.value.problems[0]
    assert (str(first.position), first.message, first.hint) == (f"f:{where}", message, hint)


def test_brackets_without_end_are_one_problem(loader: str) -> None:
    """Newer libyaml gives up at a depth of its own, before it yields anything."""
    with pytest.raises(SpecError) as caught:
        parse("[" * 5000, "f")
    (only,) = caught.value.problems
    assert "nested" in only.message
    assert only.hint == "no gateway needs this: check the brackets"


def test_a_file_tells_all_its_problems_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse("a: &x 1\nb: *x\nc: 010\na: 2\n22: 1\nd: [1\n", "f")
    assert [p.position.line for p in caught.value.problems] == [1, 2, 3, 4, 5, 6]


def test_the_first_of_two_equal_keys_has_the_place_that_is_named() -> None:
    with pytest.raises(SpecError, match="already defined at f:1:1"):
        parse("a: 1\na: 2\n", "f")


def test_yaml_1_2_may_say_so() -> None:
    assert parse("%YAML 1.2\n---\na: no\n", "f")[0].data == {"a": "no"}


# Pieces of YAML in any order reach more of the parser than letters do.
_PIECES = st.sampled_from(
    r"""a|b:~|-~|~~|[|]|{|}|,~|:~|?~|&x~|*x|!!int~|<<|'|"|\|>-|#~c|---|...|%YAML~1.1|010|true""".replace(
        "~", " "
    ).split("|")
    + list("|~\n\t\r\x85\u2028\0")
)


@given(st.one_of(st.text(), st.binary(), st.lists(_PIECES, max_size=40).map("".join)))
@example("a: \ud800")
@example(b"\xef\xbb\xbf\xef\xbb\xbf")
@example("\ufeffa: \ufeff")
def test_whatever_comes_in_only_spec_error_comes_out(text: str | bytes) -> None:
    found: list[document.Document] | None = None
    problems: tuple[SpecProblem, ...] = ()
    try:
        found = parse(text, "f")
    except SpecError as error:
        problems = error.problems
    assert (found is None) == bool(problems)
    assert all(p.message and p.position.line > 0 and p.position.column > 0 for p in problems)
    assert all(d.data is not None for d in found or ())
