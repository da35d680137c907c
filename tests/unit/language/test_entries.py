"""Entries beside the YAML: CSV and JSON Lines, which mean the same as entries in it, and are refused as clearly."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvi_operator.errors import SpecError
from nvi_operator.language.load.entries_csv import CsvTable
from nvi_operator.language.load.files import ENTRY_SUFFIXES
from nvi_operator.language.load.loader import load_directory, load_texts
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.sections import LANGUAGE
from nvi_operator.view.error import error_json
from tests.examples import examples
from tests.unit.language.specs import BASE, HEAD, Reported, problems_in

INLINE = """\
  forwards:
    web: {at: isp-b, ports: 443/tcp, to: "192.168.1.80:8443"}
    mail: {ports: [25/tcp, 587/tcp], to: 192.168.1.25, from: [192.0.2.0/24, 198.18.0.0/15], hairpin: false}
    six: {at: isp-a, ports: 80/tcp, to: "[fd00:1::80]:8080", pick: random}
    sip: {at: isp-b, ports: 5060/udp, to: 192.168.1.50, fromPorts: [5060/udp, 6000-6009/udp], health: ping}
    ipsec: {at: isp-b, ports: 500/udp, protocol: [esp, 41], to: 192.168.1.50}
    voice:
      {at: isp-b, ports: 9/udp, to: 192.168.1.50, dscp: [ef, 34], mark: 0x10/0xff, except: [192.0.2.7, 192.0.2.9]}
  static:
    printer: {address: 192.168.1.9, as: 203.0.113.17, to: 192.0.2.0/24}
    rack:
      address: [192.168.1.32/28, 'fd00:1::2']
      as: ['2001:db8:a::2', 203.0.113.16/28]
      to: [192.0.2.128, '2001:db8:9::']
      except: [192.168.1.33, 203.0.113.17]
    desk: {address: 192.168.1.10, as: 203.0.113.17, in: [lan0]}
  twiceNat:
    site: {from: 192.168.1.0/28, as: 203.0.113.16/28, to: 10.1.0.0/28, becomes: 192.168.1.0/28, via: isp-a}
"""
FORWARDS_CSV = """\
# who asked for it is in the ticket
name, at, ports, to, from, hairpin, pick, fromPorts, protocol, health, dscp, mark, except
web, isp-b, 443/tcp, 192.168.1.80:8443, , , , , , , , ,

mail, , 25/tcp 587/tcp, 192.168.1.25, 192.0.2.0/24 198.18.0.0/15, false, , , , , , ,
six, isp-a, "80/tcp", "[fd00:1::80]:8080", , , random, , , , , ,
sip, isp-b, 5060/udp, 192.168.1.50, , , , 5060/udp 6000-6009/udp, , ping, , ,
ipsec, isp-b, 500/udp, 192.168.1.50, , , , , esp 41, , , ,
voice, isp-b, 9/udp, 192.168.1.50, , , , , , , ef 34, 0x10/0xff, 192.0.2.7 192.0.2.9
"""
FORWARDS_JSON = """\
{"name": "web", "at": "isp-b", "ports": "443/tcp", "to": "192.168.1.80:8443"}

{"name": "mail", "ports": ["25/tcp", "587/tcp"], "to": "192.168.1.25",\
 "from": ["192.0.2.0/24", "198.18.0.0/15"], "hairpin": false}
{"name": "six", "at": "isp-a", "ports": "80/tcp", "to": "[fd00:1::80]:8080", "pick": "random"}
{"name": "sip", "at": "isp-b", "ports": "5060/udp", "to": "192.168.1.50", "fromPorts": ["5060/udp", "6000-6009/udp"],\
 "health": {"by": "ping"}}
{"name": "ipsec", "at": "isp-b", "ports": "500/udp", "protocol": ["esp", 41], "to": "192.168.1.50"}
{"name": "voice", "at": "isp-b", "ports": "9/udp", "to": "192.168.1.50", "dscp": ["EF", "af41"], "mark": "0x10/0xff",\
 "except": ["192.0.2.7", "192.0.2.9"]}
"""
STATIC_CSV = """\
name,    address,                   as,                            to,                       in,   except
printer, 192.168.1.9,               203.0.113.17,                  192.0.2.0/24,                 ,
rack,    192.168.1.32/28 fd00:1::2, 2001:db8:a::2 203.0.113.16/28, 192.0.2.128 2001:db8:9::,     , 192.168.1.33 203.0.113.17
desk,    192.168.1.10,              203.0.113.17,                  ,                         lan0,
"""  # noqa: E501
TWICE_CSV = "as,to,name,from,becomes,via\n203.0.113.16/28,10.1.0.0/28,site,192.168.1.0/28,192.168.1.0/28,isp-a\n"

READS_CSV = BASE + "  forwardsFrom: f.csv\n"
READS_JSON = BASE + "  forwardsFrom: f.jsonl\n"
HEADER = "name,at,ports,to\n"
WEB = "web,isp-b,443/tcp,192.168.1.80\n"


def entries_of(spec: GatewaySpec) -> tuple[object, ...]:
    return spec.forwards, list(spec.forwards), spec.static, spec.twice_nat


def csv(text: str | bytes) -> list[Reported]:
    return problems_in({"gw.yaml": READS_CSV, "f.csv": text})


def jsonl(text: str) -> list[Reported]:
    return problems_in({"gw.yaml": READS_JSON, "f.jsonl": text})


# --------------------------------------------------------------------------- what they mean


@pytest.mark.parametrize("forwards", [("f.csv", FORWARDS_CSV), ("f.jsonl", FORWARDS_JSON)], ids=["csv", "jsonl"])
def test_entries_beside_the_yaml_mean_what_they_mean_in_it(forwards: tuple[str, str]) -> None:
    name, text = forwards
    document = BASE + f"  forwardsFrom: {name}\n  staticFrom: [s.csv]\n  twiceNatFrom: t.csv\n"
    loaded = load_texts({"gw.yaml": document, name: text, "s.csv": STATIC_CSV, "t.csv": TWICE_CSV})
    assert entries_of(loaded.spec) == entries_of(load_texts({"gw.yaml": BASE + INLINE}).spec)
    assert loaded.files == ("gw.yaml", name, "s.csv", "t.csv")


def test_they_join_those_of_the_document_in_the_order_of_the_files() -> None:
    document = (
        BASE + "  forwards: {a: {at: isp-b, ports: 1/tcp, to: 192.168.1.1}}\n  forwardsFrom: [z.csv, sub/b.csv]\n"
    )
    texts = {
        "gw.yaml": document,
        "z.csv": HEADER + "z,isp-b,2/tcp,192.168.1.1\n",
        "sub/b.csv": "name,at,to,ports\nb,isp-b,192.168.1.1,3/tcp",
        "more.yaml": HEAD + "spec: {forwards: {m: {at: isp-b, ports: 4/tcp, to: 192.168.1.1}}}\n",
    }
    loaded = load_texts(texts)
    assert list(loaded.spec.forwards) == ["a", "z", "b", "m"]
    assert str(loaded.where.find(("spec", "forwards", "b", "ports"))) == "sub/b.csv:2:21"
    assert str(loaded.where.find(("spec", "forwards", "m", "ports"))) == "more.yaml:4:41"


@pytest.mark.parametrize("text", [HEADER.replace("\n", "\r\n") + WEB, "\ufeff" + HEADER + WEB], ids=["crlf", "bom"])
def test_what_a_spreadsheet_writes(text: str) -> None:
    assert list(load_texts({"gw.yaml": READS_CSV, "f.csv": text.encode()}).spec.forwards) == ["web"]


def test_a_file_that_no_document_names_is_not_read() -> None:
    assert load_texts({"gw.yaml": BASE, "notes.csv": "a;b;c\n"}).files == ("gw.yaml",)


def test_each_model_of_entries_has_its_field() -> None:
    fields = {str(field.alias) for field in GatewaySpec.model_fields.values()}
    assert set(LANGUAGE.files) == {field for field in fields if field.endswith("From")}
    assert {*LANGUAGE.files.values()} == {*LANGUAGE.bulk}


# --------------------------------------------------------------------------- CSV that is wrong

NOT_A_NAME = "is not a name: use 1 to 40 of a-z, 0-9 and '-', and neither start nor end with '-'"
NO_PROTOCOL = "names no protocol: write it as 443/tcp or 8000-8010/udp"
UNEQUAL = "1/tcp is 1 port and 192.168.1.1:2-3 is 2: ranges must be of equal size"
EQUAL = "make both ranges cover as many ports"
ALLOWED = "names become nft identifiers: lower-case letters, digits and '-' only"
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


def _csv(row: str) -> dict[str, str]:
    return {"gw.yaml": READS_CSV, "f.csv": HEADER + "".join(row.format(n) for n in range(1, MANY))}


def _json_lines(row: str) -> dict[str, str]:
    gateway = BASE + "  forwardsFrom: f.jsonl\n"
    return {"gw.yaml": gateway, "f.jsonl": "".join(row.replace("N", str(n)) for n in range(1, MANY))}


def _yaml(entry: str) -> dict[str, str]:
    return {"gw.yaml": BASE + "  forwards:\n" + "".join(entry.replace("N", str(n)) for n in range(1, MANY))}


MANY = 200_001
MANY_WRONG: Mapping[str, Callable[[], dict[str, str]]] = {
    "values": lambda: _csv("web{0},isp-b,{0}/tpc,192.168.1.1\n"),
    "uplinks": lambda: _csv("web{0},isp-x,443/tcp,192.168.1.1\n"),
    "names": lambda: _csv("web,isp-b,443/tcp,192.168.1.1\n"),
    "JSON Lines": lambda: _json_lines('{"name": "webN", "at": "isp-b", "ports": "N/tpc", "to": "192.168.1.1"}\n'),
    "YAML": lambda: _yaml("    webN: {at: isp-b, ports: N/tpc, to: 192.168.1.1}\n"),
    "YAML in several lines": lambda: _yaml("    webN:\n      at: isp-b\n      ports: N/tpc\n      to: 192.168.1.1\n"),
    "anchors": lambda: _yaml("    webN: &a {at: isp-b, to: 192.168.1.1}\n"),
}


@pytest.mark.parametrize("what", MANY_WRONG)
def test_the_first_of_200_000_wrong_entries_are_reported_in_two_seconds(what: str) -> None:
    texts = MANY_WRONG[what]()
    began = time.process_time()
    with pytest.raises(SpecError) as caught:
        load_texts(texts)
    assert time.process_time() - began < 2
    error = caught.value
    assert len(error.problems) == 20
    assert error.more >= 980
    assert str(error).endswith(f"... and at least {error.more} more problems; the rest was not checked")
    told = error_json(error)["error"]
    assert (told["more"], told["complete"]) == (error.more, False)


MANY_MISPLACED = {
    "forwards": ("    webN: {at: isp-x, ports: 443/tcp, to: 192.168.1.1}\n", "14:16", "there is no uplink 'isp-x'"),
    "forwards in several lines": (
        "    webN:\n      at: isp-x\n      to: 192.168.1.1\n",
        "15:11",
        "there is no uplink 'isp-x'",
    ),
    "forwards of one port": (
        "    webN: {at: isp-b, ports: 443/tcp, to: 192.168.1.1}\n",
        "15:30",
        "is already used by forward 'web1'",
    ),
    "forwards of no tenant": (
        "    webN: {at: isp-b, tenant: red, to: 192.168.1.1}\n",
        "14:31",
        "there is no tenant 'red'",
    ),
    "static": ("    webN: {address: 192.168.1.1, as: 192.0.2.1}\n", "14:38", "192.0.2.1/32 belongs to no uplink"),
}


@pytest.mark.parametrize("what", MANY_MISPLACED)
def test_the_first_of_200_000_valid_entries_in_yaml_that_fit_no_uplink_are_reported_in_a_second(what: str) -> None:
    entry, place, message = MANY_MISPLACED[what]
    texts = {"gw.yaml": _yaml(entry)["gw.yaml"].replace("forwards", what.partition(" ")[0])}
    began = time.process_time()
    with pytest.raises(SpecError) as caught:
        load_texts(texts)
    assert time.process_time() - began < 1
    first = caught.value.problems[0]
    assert (str(first.position), message in first.message) == (f"gw.yaml:{place}", True)
    assert (len(caught.value.problems), caught.value.more >= 980, caught.value.complete) == (20, True, False)


@pytest.mark.parametrize("last", ["isp-x, ports: 9/tcp", "isp-b, ports: 9/tpc", "isp-b, posts: 9/tcp"])
def test_what_is_wrong_in_the_last_of_many_right_entries_in_yaml_is_told(last: str) -> None:
    entries = "".join(f"    web{n}: {{at: isp-b, ports: {n}/tcp, to: 192.168.1.1}}\n" for n in range(10, 5010))
    text = f"{BASE}  forwards:\n{entries}    last: {{at: {last}, to: 192.168.1.1}}\n"
    with pytest.raises(SpecError) as caught:
        load_texts({"gw.yaml": text})
    assert [problem.position.line for problem in caught.value.problems] == [5014]
    assert (caught.value.more, caught.value.complete) == (0, True)


@pytest.mark.parametrize("wrong", ["isp-x,9/tcp", "isp-b,9/tpc"])
def test_what_is_wrong_after_many_right_entries_is_told_and_counted(wrong: str) -> None:
    rows = [f"web{n},isp-b,{n}/tcp,192.168.1.1\n" for n in range(1, 5000)]
    rows[3000:3030] = [f"new{n},{wrong},192.168.1.1\n" for n in range(30)]
    with pytest.raises(SpecError) as caught:
        load_texts({"gw.yaml": READS_CSV, "f.csv": HEADER + "".join(rows)})
    assert (caught.value.problems[0].position.line, caught.value.more, caught.value.complete) == (3002, 10, True)


# --------------------------------------------------------------------------- JSON Lines that are wrong

RENAME = "keep one of them, or rename one"
BAD = "not readable as JSON"
ADDRESS = "write an address such as 192.0.2.1 or 2001:db8::1"
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
        ('{"name": "w", "to": ' + "[" * 9999 + "]" * 9999 + "}", ("1", "", f"{BAD}: it is nested too deep", FORM)),
        ('{"name": "w\\ud800", "to": "::8"}', ("1", "", f"{BAD}: half of a surrogate pair is no character", FORM)),
        ('{"name": "w", "to": ' + "9" * 5000 + "}", ("1", "", f"{BAD}: a number is too long", FORM)),
        ('{"name": "Web",\t"to": "192.168.1.1"}', ("10", "spec.forwards.Web", f"'Web' {NOT_A_NAME}", ALLOWED)),
        ('{"name": "a", "too": 1, "to": "::8"}', ("15", "spec.forwards.a.too", "there is no field 'too'", TO)),
        ('{"name": "web"}', ("10", "spec.forwards.web.to", "to is missing", "add `to: ...` here")),
        ('{"name": "a", "to": {"::8": 0}}', ("29", "spec.forwards.a.to.::8", "0 is too small: at least 1", LARGER)),
        ('{"name": "a", "to": ["::8", 2]}', ("21", "spec.forwards.a.to", NO_ADDRESS, "")),
        ('{"name": "a", "to": ["::8", "::z"]}', ("29", "spec.forwards.a.to[1]", f"'::z' {NO_IP}", ADDRESS)),
    ],
)  # fmt: skip
def test_a_wrong_line(line: str, reported: tuple[str, str, str, str]) -> None:
    column, path, message, hint = reported
    assert jsonl(f"\n{line}\n") == [(f"f.jsonl:2:{column}", path, message, hint)]


# --------------------------------------------------------------------------- whatever is wrong

_CHARACTERS = st.sampled_from(
    [*'{}[]":,;\\\n\r\t #', "name", "to", "at", "ports", "web", "80/tcp", "192.168.1.1", "true"]
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
_VALUES = st.recursive(
    _SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=2)
)
_FIELDS = st.sampled_from(
    ["name", "at", "ports", "protocol", "to", "pick", "tenant", "from", "fromPorts", "dscp", "mark", "except", "x"]
)


@given(st.lists(_CHARACTERS | st.characters()).map("".join) | st.binary(), st.sampled_from(ENTRY_SUFFIXES))
@settings(max_examples=examples(300), deadline=None)
def test_whatever_a_file_holds_only_a_spec_error_is_raised(text: str | bytes, suffix: str) -> None:
    raises_nothing_else(f"f{suffix}", text)
    raises_nothing_else(
        f"f{suffix}", HEADER.encode() + (text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    )


@given(st.lists(st.dictionaries(_FIELDS, _VALUES | st.just("192.168.1.1")), min_size=1, max_size=3))
@settings(deadline=None)
def test_whatever_an_object_holds_only_a_spec_error_is_raised(objects: list[dict[str, object]]) -> None:
    for ascii_ in (True, False):
        lines = "".join(json.dumps({"name": "w", **one}, ensure_ascii=ascii_) + "\n" for one in objects)
        raises_nothing_else("f.jsonl", lines.encode("utf-8", "surrogatepass"))


_PLACES = ("isp-a", "isp-b", "dsl", "isp-c", "203.0.113.17", "203.0.113.017", "2001:db8:a::2", "2001:DB8:A::2", "x y")
_PORTS = (
    "80/tcp",
    "80-81/udp",
    "080/tcp",
    "80",
    "\u0663/tcp",
    "hash",
    "random",
    "true",
    "10.0.0.0/8",
    "10.0.0.1/8",
    "gre",
    "41",
    "",
)
_SERVERS = (
    "192.168.1.1",
    "192.168.1.1:80",
    "192.168.1.1:80-81",
    "[fd00:1::1]:80",
    "192.168.1.1:0",
    "192.168.1.1:\u0663",
)
_TEXTS = st.sampled_from([*_PLACES, *_PORTS, *_SERVERS])
_NUMBERS = st.integers(-1, 99_999) | st.floats(allow_nan=False, allow_infinity=False)
_WRITTEN = st.one_of(
    _TEXTS,
    st.lists(_TEXTS, max_size=3),
    st.dictionaries(_TEXTS, st.integers(0, 2), max_size=2),
    st.none() | st.booleans() | _NUMBERS,
)
_OPTIONAL = dict.fromkeys(
    ("at", "ports", "protocol", "pick", "from", "fromPorts", "dscp", "mark", "except", "hairpin"), _WRITTEN
)


@given(st.fixed_dictionaries({"to": _WRITTEN}, optional=_OPTIONAL))
@settings(max_examples=examples(400), deadline=None)
def test_an_entry_is_worth_the_same_wherever_it_is_written(entry: dict[str, object]) -> None:
    """The fast way, field by field, against pydantic: JSON is YAML."""
    inline = BASE + f"  forwards:\n    w: {json.dumps(entry, ensure_ascii=False)}\n"
    line = json.dumps({"name": "w", **entry}, ensure_ascii=False)
    assert told({"gw.yaml": READS_JSON, "f.jsonl": line}) == told({"gw.yaml": inline})


def told(texts: dict[str, str]) -> object:
    try:
        return load_texts(texts).spec.forwards
    except SpecError as error:
        return [(problem.path, problem.message, problem.hint) for problem in error.problems]


def raises_nothing_else(name: str, text: str | bytes) -> None:
    try:
        load_texts({"gw.yaml": BASE + f"  forwardsFrom: {name}\n", name: text})
    except SpecError as error:
        str(error).encode()  # a terminal can show it
        assert all(problem.position.line > 0 and problem.position.column > 0 for problem in error.problems)  # noqa: PT017


# --------------------------------------------------------------------------- two of one name

KEEP = "keep one of them, or give one another name"


def test_two_of_one_name_in_one_file() -> None:
    assert csv(HEADER + WEB + WEB.replace("443", "80")) == [
        ("f.csv:3:1", "", "'web' is already defined at f.csv:2:1", RENAME)
    ]


def test_two_of_one_name_in_two_files() -> None:
    document = BASE + "  forwards: {web: {at: isp-b, to: 192.168.1.1}}\n  forwardsFrom: [f.csv, g.csv]\n"
    again = "forwards {} is already defined at {}"
    texts = {
        "gw.yaml": document,
        "f.csv": HEADER + "a,,,192.168.1.1\n",
        "g.csv": HEADER + "\na,,,192.168.1.1\n" + WEB,
    }
    assert problems_in(texts) == [
        ("g.csv:3:1", "spec.forwards.a", again.format("'a'", "f.csv:2:1"), KEEP),
        ("g.csv:4:1", "spec.forwards.web", again.format("'web'", "gw.yaml:13:14"), KEEP),
    ]


def test_a_file_is_named_once() -> None:
    document = BASE + "  forwardsFrom: [f.csv, f.csv]\n"
    assert problems_in({"gw.yaml": document, "f.csv": HEADER + WEB}) == [
        (
            "gw.yaml:13:25",
            "spec.forwardsFrom",
            "f.csv is already named at gw.yaml:13:18",
            "name it once",
        )
    ]


# --------------------------------------------------------------------------- which file


@pytest.mark.parametrize(
    "name", ["../f.csv", "/etc/f.csv", "a/../f.csv", "./f.csv", ".f.csv", ".git/f.csv", "f.txt", "f"]
)
def test_a_name_that_leads_elsewhere(name: str) -> None:
    (reported,) = problems_in({"gw.yaml": BASE + f"  forwardsFrom: {name}\n"})
    assert reported[0] == "gw.yaml:13:17"
    assert reported[2].startswith(f"{name!r} is not a file of entries: name a .csv or .jsonl file")


def test_a_missing_file() -> None:
    assert problems_in({"etc/gw.yaml": BASE + "  forwardsFrom: [sub/f.csv]\n"}) == [
        (
            "etc/gw.yaml:13:18",
            "spec.forwardsFrom",
            "sub/f.csv cannot be read: No such file or directory",
            "it is looked for at etc/sub/f.csv",
        )
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "spec"
    made.mkdir()
    (made / "gw.yaml").write_text(READS_CSV)
    (tmp_path / "outside.csv").write_text(HEADER + WEB)
    return made


def test_on_disk(root: Path) -> None:
    (root / "f.csv").write_text(HEADER + WEB)
    for loaded in (load_directory(root), load_directory(root / "gw.yaml")):
        assert list(loaded.spec.forwards) == ["web"]


@pytest.mark.parametrize("named", ["", "gw.yaml"], ids=["directory", "file"])
def test_a_symlink_out_of_the_directory(root: Path, named: str) -> None:
    (root / "f.csv").symlink_to("../outside.csv")
    with pytest.raises(SpecError) as caught:
        load_directory(root / named)
    (problem,) = caught.value.problems
    assert problem.message == "f.csv cannot be read: a symlink leads out of the spec directory"
    assert problem.hint == "put the file itself beside the document"


def test_a_mounted_config_map(root: Path) -> None:
    """Kubernetes links each file through ..data, which is in the directory."""
    (root / "..2026_01").mkdir()
    (root / "..2026_01" / "f.csv").write_text(HEADER + WEB)
    (root / "..data").symlink_to("..2026_01")
    (root / "f.csv").symlink_to("..data/f.csv")
    assert list(load_directory(root).spec.forwards) == ["web"]


def test_what_is_no_file(root: Path) -> None:
    os.mkfifo(root / "f.csv")
    with pytest.raises(SpecError, match="cannot be read: not a regular file"):
        load_directory(root)


def test_each_suffix_has_a_format() -> None:
    for suffix in ENTRY_SUFFIXES:
        load_texts(
            {"gw.yaml": BASE + f"  staticFrom: s{suffix}\n", f"s{suffix}": "name,address,as\n" * (suffix == ".csv")}
        )
