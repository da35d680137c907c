"""What is pending, held or suspended is one file; its deadline is of one boot, and no clock that jumps moves it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nvi_operator.history.decisions import (
    NOTHING,
    Decisions,
    DecisionsFile,
    Held,
    Moment,
    PendingRevision,
    ReturnTarget,
    Suspension,
)
from nvi_operator.history.revision import Content

BACK = ReturnTarget(3, Content("edge", {"gateway.yaml": b"\xef\xbb\xbf# \xc3\xa9\r\n", "lists/a.csv": b"name\n"}))
PENDING = PendingRevision(4, "d1", BACK, Moment("boot", 1000.0), 300.0)
ALL = Decisions(PENDING, Held(4, "d1", BACK, "because"), Suspension("works", "Ada", 1.5, 99.5, Moment("boot", 98.0)))


def test_decisions_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = DecisionsFile(tmp_path)
    assert file.read() == NOTHING
    for decisions in (ALL, Decisions(PENDING), ALL.settled(), Decisions(PENDING).given_up("late"), NOTHING):
        file.write(decisions)
        assert file.read() == DecisionsFile(tmp_path).read() == decisions
    assert not file.path.exists()


@pytest.mark.parametrize("data", ["", "{", '{"version": 2}', '{"version": 1, "pending": {"revision": 1}}', "[]"])
def test_a_damaged_file_is_set_aside_and_named_and_means_that_nothing_was_decided(tmp_path: Path, data: str) -> None:
    file = DecisionsFile(tmp_path)
    file.write(ALL)
    file.path.write_text(data)
    assert file.read() == NOTHING
    (aside,) = tmp_path.glob("decisions.json.damaged-*")
    assert f"{file.path}: was damaged: " in file.warnings[0]
    assert str(aside) in file.warnings[0]
    assert file.read() == NOTHING


def test_a_deadline_counts_within_one_boot_and_a_reboot_ends_it() -> None:
    assert PENDING.left(Moment("boot", 999.0)) == 1.0
    assert PENDING.left(Moment("boot", 1000.0)) == PENDING.left(Moment("boot", 5000.0)) == 0.0
    assert PENDING.why(Moment("boot", 5000.0)) == "not confirmed within 300 s"
    assert PENDING.left(Moment("later boot", 5.0)) == 0.0
    assert PENDING.why(Moment("later boot", 5.0)) == "not confirmed before the reboot"
    assert replace(PENDING, given_up="aborted").left(Moment("boot", 0.0)) == 0.0


@pytest.mark.parametrize("jump", [-1e9, 1e9])
def test_a_clock_that_jumps_neither_ends_a_suspension_nor_makes_it_longer(jump: float) -> None:
    wall = 1_700_000_000.0
    found = Decisions(suspension=Suspension("works", "Ada", wall, wall + 60, Moment("one", 160.0)))
    assert found.suspended(Moment("one", 159.0), wall + jump) is found.suspension
    assert found.suspended(Moment("one", 160.0), wall + jump) is None
    assert found.suspended(Moment("another", 3.0), wall + 59) is found.suspension, "a boot has a clock of its own"
    assert found.suspended(Moment("another", 3.0), wall + 60) is None
