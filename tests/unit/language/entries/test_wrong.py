"""Wrong rows of CSV and wrong lines of JSON: each with its place and its hint."""

from __future__ import annotations

import pytest

from nvi_operator.errors import SpecError
from nvi_operator.language.load.entries_csv import CsvTable
from nvi_operator.language.load.loader import load_texts
from nvi_operator.view.error import error_json
from tests.unit.language.entries.beside import ALLOWED, HEADER, NOT_A_NAME, READS_CSV, RENAME, csv, jsonl
from tests.unit.language.specs import ADDRESS

NO_PROTOCOL = "names no protocol: write it as 443/tcp or 8000-8010/udp"
UNEQUAL = "1/tcp is 1 port and 192.168.1.1:2-3 is 2: ranges must be of equal size"
EQUAL = "make both ranges cover as many ports"
COLUMNS = "name, at, ports, protocol, to, pick, tenant, from, fromPorts, dscp, mark, except, hairpin, health"
COLUMNS += ", description, enabled"
NOT_CSV = "not CSV: a quote that is not closed on its line, or text beside it"
QUOTE = 'close it before the next comma, and write " within quotes as ""'
COMMAS = "write a comma for each empty cell as well"
SPACES = "separate several values of one cell by spaces"
NO_PORTS = "is not a protocol with ports"
NEEDED = "each entry needs it: add the column"


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("", ("1:1", "there is no header", f"write one on the first line: {COLUMNS.replace(' ', '')}")),
        ("name;at;to\n", ("1:1", "the columns are not separated by commas", "save the file with commas")),
        ("\n#\nname,prots,to\n", ("3:6", "there is no field 'prots'", "did you mean 'ports'?")),
        ("name, to,\n", ("1:10", "there is no field ''", f"there are: {COLUMNS}")),
        ("name,to, to\n", ("1:10", "column 'to' appears twice", "keep one of them")),
        ("to\n", ("1:1", "the header has no column 'name'", NEEDED)),
        ("nmae,to\n", ("1:1", "there is no field 'nmae'", "did you mean 'name'?")),
        ("name,to,source\n", ("1:9", "there is no field 'source'", "write `from`")),
        ("name,too\n", ("1:6", "there is no field 'too'", "did you mean 'to'?")),
        (f"name,to,{'x' * 300_000}\n", ("1:9", f"there is no field '{'x' * 55}...'", f"there are: {COLUMNS}")),
        ("name\n" + "web\n" * 99, ("1:1", "the header has no column 'to'", NEEDED)),
        (HEADER + "web,isp-b\n", ("2:10", "this row has 2 cells, and the header 4", COMMAS)),
        (
            HEADER + "web,isp-b,25/tcp,587/tcp,192.168.1.1\n",
            ("2:26", "this row has 5 cells, and the header 4", SPACES),
        ),
        (HEADER + 'web,isp-b,"443/tcp,192.168.1.1\n', ("2:11", NOT_CSV, QUOTE)),
        (HEADER + 'web,isp-b,"443"/tcp,192.168.1.1\n', ("2:11", NOT_CSV, QUOTE)),
        (b"\xff", ("1:1", "byte 0xff is not UTF-8", "save the file in UTF-8")),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_of_entries(text: str | bytes, reported: tuple[str, str, str]) -> None:
    where, message, hint = reported
    assert [(place, problem, todo) for place, _, problem, todo in csv(text)] == [(f"f.csv:{where}", message, hint)]


@pytest.mark.parametrize(
    ("row", "reported"),
    [
        ("Web,isp-b,1/tcp,192.168.1.1", ("1", "Web", f"'Web' {NOT_A_NAME}", ALLOWED)),
        (",isp-b,1/tcp,192.168.1.1", ("1", "", f"'' {NOT_A_NAME}", ALLOWED)),
        ("a b,isp-b,1/tcp,192.168.1.1", ("1", "a b", f"'a b' {NOT_A_NAME}", ALLOWED)),
        ("web, isp-b, 1/tcp,", ("19", "web.to", "to is missing", "add `to: ...` here")),
        ("web,isp-b,443,192.168.1.1", ("11", "web.ports", f"'443' {NO_PROTOCOL}", "")),
        (
            f"web,isp-b,{'1' * 300_000},192.168.1.1",
            ("11", "web.ports", f"'{'1' * 55}...' {NO_PROTOCOL}", ""),
        ),
        ('web,isp-b,"80/tcp,443/tcp",192.168.1.1', ("12", "web.ports", f"'tcp,443/tcp' {NO_PORTS}", SPACES)),
        ('web,isp-b,443/tcp,"::8,::9"', ("20", "web.to", "'::8,::9' is not an IPv4 or IPv6 address", SPACES)),
        ('web,isp-b,"1/tcp  2",192.168.1.1', ("19", "web.ports[1]", f"'2' {NO_PROTOCOL}", "")),
        ("web,isp-c,1/tcp,192.168.1.1", ("5", "web.at", "there is no uplink 'isp-c'", "did you mean 'isp-b'?")),
        ("web,isp-b,1/tcp,192.168.1.1:2-3", ("1", "web", UNEQUAL, EQUAL)),
    ],
)  # fmt: skip
def test_a_wrong_value_has_a_place_in_its_row(row: str, reported: tuple[str, str, str, str]) -> None:
    column, path, message, hint = reported
    assert csv(HEADER + "\n" + row + "\n") == [(f"f.csv:3:{column}", f"spec.forwards.{path}", message, hint)]


def test_true_and_false_are_the_only_booleans() -> None:
    (reported,) = csv("name,to,hairpin\nweb,192.168.1.1, no\n")
    assert reported == (
        "f.csv:2:18",
        "spec.forwards.web.hairpin",
        "expected true or false, found 'no'",
        "YAML 1.2: write true or false; no is text",
    )


@pytest.mark.parametrize("row", ["web{},isp-b,443,192.168.1.1\n", "web{},isp-x,443/tcp,192.168.1.1\n", "web,b\n"])
def test_the_first_wrong_rows_are_told_and_the_others_counted(row: str) -> None:
    rows = "".join(row.format(number) for number in range(60))
    with pytest.raises(SpecError) as caught:
        load_texts({"gw.yaml": READS_CSV, "f.csv": HEADER + rows})
    assert (len(caught.value.problems), caught.value.more) == (20, 40)
    assert str(caught.value).count("f.csv:") == 20
    assert str(caught.value).endswith("... and 40 more problems")
    told = error_json(caught.value)["error"]
    assert (told["more"], told["complete"]) == (40, True)


def test_few_of_many_wrong_rows_are_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place and a hint take 0.1 ms each: for 200,000 rows a minute."""
    worked_out = []
    plain = CsvTable.document
    monkeypatch.setattr(CsvTable, "document", lambda *arguments: worked_out.append(1) or plain(*arguments))
    rows = "".join(f"web{number},isp-b,{number}/tpc,192.168.1.1\n" for number in range(1, 5000))
    with pytest.raises(SpecError) as caught:
        load_texts({"gw.yaml": READS_CSV, "f.csv": HEADER + rows})
    assert (len(caught.value.problems), caught.value.more) == (20, 980)
    assert len(worked_out) <= 40


SURROGATE = "half of a surrogate pair is not a character"
UNREAD = "not readable as JSON"
TO, LARGER, NO_IP = "did you mean 'to'?", "choose a larger number", "is not an IPv4 or IPv6 address"
NO_ADDRESS = "expected an address with or without a port, found 2"
A_LIST = "write several as a list: [a, b]"
FORM = 'write an object on one line: {"name": "web", ...}'


@pytest.mark.parametrize(
    ("line", "reported"),
    [
        ('{"name": "web", "to":', ("22", "", "not JSON: Expecting value", FORM)),
        ("[]", ("1", "", "expected an object, found a list", FORM)),
        ('{"to": "192.168.1.1"}', ("1", "", "name is missing", "add `name: ...` here")),
        ('{"nmae": "web", "to": "::8"}', ("1", "", "there is no field 'nmae'", "did you mean 'name'?")),
        ('{"name": "a", "too": "::8"}', ("15", "spec.forwards.a.too", "there is no field 'too'", TO)),
        ('{"name": "a", "to": "::8,::9"}', ("21", "spec.forwards.a.to", f"'::8,::9' {NO_IP}", A_LIST)),
        ('{"name": 5, "to": "192.168.1.1"}', ("1", "", "expected a name as text, found 5", "put it in quotes")),
        ('{"name": "w", "to": "::8", "to": 1}', ("28", "", "'to' is already defined", RENAME)),
        ('{"name": "w", "to": ' + "[" * 9999 + "]" * 9999 + "}", ("1", "", f"{UNREAD}: it is nested too deep", FORM)),
        ('{"name": "w\\ud800", "to": "::8"}', ("1", "", f"{UNREAD}: {SURROGATE}", FORM)),
        ('{"name": "w", "to": ' + "9" * 5000 + "}", ("1", "", f"{UNREAD}: a number is too long", FORM)),
        ('{"name": "Web",\t"to": "192.168.1.1"}', ("10", "spec.forwards.Web", f"'Web' {NOT_A_NAME}", ALLOWED)),
        ('{"name": "a", "too": 1, "to": "::8"}', ("15", "spec.forwards.a.too", "there is no field 'too'", TO)),
        ('{"name": "web"}', ("10", "spec.forwards.web.to", "to is missing", "add `to: ...` here")),
        ('{"name": "a", "to": {"::8": 0}}', ("29", "spec.forwards.a.to.::8", "0 is too small: at least 1", LARGER)),
        ('{"name": "a", "to": ["::8", 2]}', ("21", "spec.forwards.a.to", NO_ADDRESS, "")),
        ('{"name": "a", "to": ["::8", "::z"]}', ("29", "spec.forwards.a.to[1]", f"'::z' {NO_IP}", ADDRESS)),
    ],
)  # fmt: skip
def test_a_wrong_line_of_entries_is_told_with_its_place(line: str, reported: tuple[str, str, str, str]) -> None:
    column, path, message, hint = reported
    assert jsonl(f"\n{line}\n") == [(f"f.jsonl:2:{column}", path, message, hint)]
