"""`nvictl history` and `show revision`, on a terminal of 80 columns."""

from __future__ import annotations

from dataclasses import replace

from nvi_operator.history.revision import Origin, Requester, Revision, RevisionResult, Standing
from nvi_operator.view.history import history_table, revision_text
from tests.unit.view.lines import lines_of

APPLIED = Revision(
    1,
    1_700_000_000.5,
    "edge",
    "apply",
    Requester(0, 42, None, "nvictl apply /etc/nvi-operator"),
    RevisionResult.APPLIED,
    Standing.CONFIRMED,
    plan="+ sourceNat server: new: 192.168.1.80 leaves as isp-b (198.51.100.2); fd00::80 leaves as isp-b\n1 created.",
    steps=87,
    seconds=0.231,
    files=("gateway.yaml",),
)
FROM_GIT = replace(APPLIED, number=2, origin=Origin("c0ffee0123456789", "Ada <ada@example.net>"))


def test_a_revision_is_a_row_on_a_terminal_of_80_columns() -> None:
    title, heading, row = lines_of(history_table([APPLIED], 80))
    assert title == "revisions"
    assert heading.split() == ["rev", "time", "gateway", "by", "result", "steps", "took"]
    assert "edge" in row
    assert row.endswith("apply  applied, confirmed     87  231 ms")


def test_so_it_is_with_a_commit_and_a_remark() -> None:
    removed = replace(APPLIED, number=3, gateway="", action="rollback", of=1, files=())
    lines = lines_of(history_table([removed, FROM_GIT, APPLIED], 80))
    assert lines[1].split() == ["rev", "time", "gateway", "by", "result", "steps", "took", "commit", "remark"]
    assert any("c0ffee0 " in f"{line} " for line in lines)
    assert max(map(len, lines)) <= 80


def test_a_commit_that_its_directory_differed_from_keeps_its_mark() -> None:
    edited = replace(FROM_GIT, origin=Origin("c0ffee0+"))
    assert "c0ffee0+" in lines_of(history_table([edited], 80))[2]


def test_a_line_of_its_plan_that_is_too_long_hangs_behind_its_sign() -> None:
    lines = lines_of(revision_text(APPLIED, 80))
    assert lines[-3:] == [
        "+ sourceNat server: new: 192.168.1.80 leaves as isp-b (198.51.100.2); fd00::80",
        "  leaves as isp-b",
        "1 created.",
    ]
    assert lines_of(revision_text(APPLIED, None))[-2:] == APPLIED.plan.splitlines()
