"""What `nvictl validate` says of invariants: in the form of compilers, as JSON, as JUnit; and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nvi_operator.cli import main
from nvi_operator.view.junit import Case, junit_xml
from tests.unit.language.specs import BASE

DEAD = BASE + "  sourceNat:\n    - {name: all, as: isp-a}\n    - {name: host, from: 192.168.1.9, as: isp-b}\n"
POOL = "{{name: {}, from: {}, as: {{pool: 203.0.113.16/29, overload: false}}}}"
SHARED = (
    f"{BASE}  sourceNat:\n    - {POOL.format('a', '192.168.1.0/29')}\n    - {POOL.format('b', '192.168.1.8/29')}\n"
)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return tmp_path / "gw.yaml"


def cases(file: Path) -> dict[str, ElementTree.Element]:
    return {str(case.get("name")).partition(":")[0]: case for case in ElementTree.parse(file).iter("testcase")}


def test_a_dead_entry_is_a_warning(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(DEAD)
    assert main(["validate", str(spec), "--junit", str(tmp_path / "out.xml")]) == 0
    told = capsys.readouterr()
    assert told.out == "gateway gw: valid: 1 interface, 3 uplinks, 2 sourceNat\n"
    assert told.err == (
        f"{spec}:15:7: warning: spec.sourceNat[1]: sourceNat 'host' has no effect: every packet that it is about is "
        f"taken by sourceNat 'all' ({spec}:14:7); for example -i lan0 tcp 192.168.1.9:40000 to 192.0.2.80:443\n"
        "  hint: place it before 'all', or delete it\n"
    )
    dead = cases(tmp_path / "out.xml")["no-dead-entry"]
    assert dead.find("failure") is None
    assert "sourceNat 'host'" in str(dead.findtext("system-out"))


def test_a_shared_claim_is_an_error(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(SHARED)
    assert main(["validate", str(spec), "--junit", str(tmp_path / "out.xml")]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(
        f"{spec}:15:43: spec.sourceNat[1].as: sourceNat 'b' gives each source an address of its"
    )
    failure = cases(tmp_path / "out.xml")["no-shared-claim"].find("failure")
    assert failure is not None
    assert str(failure.get("message")).startswith(f"{spec}:15:43: ")


def test_the_same_as_json(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(DEAD)
    assert main(["validate", str(spec), "-o", "json"]) == 0
    (dead,) = [check for check in json.loads(capsys.readouterr().out)["checks"] if check["name"] == "no-dead-entry"]
    assert (dead["holds"], dead["severity"]) == (False, "warning")
    (finding,) = dead["findings"]
    assert (finding["line"], finding["packet"]) == (15, "-i lan0 tcp 192.168.1.9:40000 to 192.0.2.80:443")
    spec.write_text(SHARED)
    assert main(["validate", str(spec), "-o", "json"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["error"]["problems"]
    assert (problem["line"], problem["path"]) == (15, "spec.sourceNat[1].as")


def test_a_spec_that_cannot_be_read_is_a_failed_case_as_well(spec: Path, tmp_path: Path) -> None:
    spec.write_text(BASE.replace("203.0.113.2,", "203.0.113.999,"))
    assert main(["validate", str(spec), "--junit", str(tmp_path / "out.xml")]) == 1
    (case,) = cases(tmp_path / "out.xml").values()
    failure = case.find("failure")
    assert failure is not None
    assert "203.0.113.999" in str(failure.text)


def test_texts_may_hold_anything() -> None:
    odd = 'a "b" <c> & \x1b[2J \ud800 \ufffe'
    root = ElementTree.fromstring(junit_xml(odd, [Case(odd, failures=(odd,), notes=(odd,)), Case("x", skipped=odd)]))
    assert [suite.get("failures") for suite in root] == ["1"]
    assert '"b" <c> & \\x1b[2J' in str(root[0][0].findtext("failure"))
