"""What is shown, and that the documentation names every check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nvi_operator.cli.output import print_lines
from nvi_operator.doctor.checks import CHECKS
from nvi_operator.doctor.diagnosis import diagnose
from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.survey import RuleFact, Survey
from nvi_operator.view.doctor import exit_code, render, summary, to_json
from nvi_operator.view.segment import unstyled
from tests.unit.doctor.surveys import spec, survey

DOCS = Path(__file__).resolve().parents[3] / "docs" / "doctor.md"
FINDINGS = (
    Finding("ok", "kernel", "Linux 6.12"),
    Finding("warning", "rp-filter", "strict"),
    Finding("problem", "forward-drop", "a chain drops", "nft 'insert rule " + "x " * 60 + "'\n# and more"),
)


def test_problems_come_first_and_todo_lines_stay_whole() -> None:
    lines = [unstyled(piece) for piece in render(FINDINGS, 40)]
    assert [line.split()[0] for line in lines if not line.startswith("    ")] == ["problem", "warning", "ok", "1"]
    assert "    " + FINDINGS[2].todo.splitlines()[0] in lines
    assert lines[-1] == "1 problem, 1 warning."


def test_nothing_is_said_by_colour_alone(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    print_lines(render(FINDINGS, None))
    without = capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_lines(render(FINDINGS, None))
    coloured = capsys.readouterr().out
    assert coloured != without
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == without


def test_the_exit_code_is_about_problems_only() -> None:
    assert exit_code(FINDINGS) == 1
    assert exit_code(FINDINGS[:2]) == 0
    assert summary(FINDINGS[:1]) == "No problems found."
    assert summary(FINDINGS[:2]) == "No problems, 1 warning."


def test_programs_get_the_findings_as_json() -> None:
    data = to_json(FINDINGS)
    assert data["ok"] is False
    assert data["findings"][0] == {"level": "ok", "topic": "kernel", "what": "Linux 6.12", "todo": []}
    assert data["findings"][2]["todo"][1] == "# and more"


def test_findings_bear_the_name_of_their_check() -> None:
    sick = survey(
        kernel="5.4",
        conntrack=False,
        nft_version=None,
        rules=[RuleFact(4, 9, table=1)],
        legacy_tables=((4, "nat"),),
    )
    for of, on in ((sick, spec()), (sick, None), (Survey(), None), (Survey(), spec())):
        for check in CHECKS:
            assert {finding.topic for finding in check.run(of, on)} <= {check.topic}
        assert [f.level for f in diagnose(of, on)] == sorted(
            (f.level for f in diagnose(of, on)), key=["problem", "warning", "ok"].index
        )


def test_the_documentation_lists_every_check_in_order() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [check.topic for check in CHECKS]
