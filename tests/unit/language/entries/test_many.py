"""Of many wrong entries the first are told, and soon."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import pytest

from nvi_operator.errors import SpecError
from nvi_operator.language.load.loader import load_texts
from nvi_operator.view.error import error_json
from tests.unit.language.entries.beside import HEADER, READS_CSV
from tests.unit.language.specs import BASE


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
