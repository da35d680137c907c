"""A guest's report is believed when all of it came through, and only then."""

from __future__ import annotations

import io

import pytest

from tests.vm.machine import judge
from tests.vm.report import BrokenReportError, Writer, slowest, verified

SECRET = "of this boot"
GOOD = {"exit": 0, "alarms": [], "taint": 0, "left_loaded": False}


def report(*, verdict: dict[str, object] = GOOD, secret: str = SECRET, outcome: str = "passed") -> bytes:
    stream = io.BytesIO()
    writer = Writer(stream, secret)
    writer.write("start", release="6.1")
    writer.write("job", collected=2)
    writer.write("job", test="one", when="call", outcome="passed", detail="")
    writer.write("job", test="two", when="call", outcome=outcome, detail="because")
    writer.write("verdict", **verdict)
    writer.close()
    return stream.getvalue()


def problems(data: bytes, *, code: int | None = 0) -> tuple[str, ...]:
    return judge(code, data, SECRET, 9)[1]


def test_a_whole_report_without_complaint_is_success() -> None:
    assert problems(report()) == ()


@pytest.mark.parametrize("lost", range(6))
def test_any_lost_line_is_noticed(lost: int) -> None:
    lines = report().splitlines(keepends=True)
    with pytest.raises(BrokenReportError):
        verified(b"".join(lines[:lost] + lines[lost + 1 :]), SECRET)


@pytest.mark.parametrize("cut", range(0, len(report()) - 1, 7))
def test_a_report_that_breaks_off_is_noticed(cut: int) -> None:
    with pytest.raises(BrokenReportError):
        verified(report()[:cut], SECRET)


def test_a_changed_byte_is_noticed() -> None:
    with pytest.raises(BrokenReportError):
        verified(report(outcome="failed").replace(b"failed", b"passed"), SECRET)


def test_the_report_of_another_boot_is_none() -> None:
    assert problems(report(secret="of yesterday"))


def test_a_machine_that_did_not_end_by_itself_has_not_succeeded() -> None:
    assert problems(report(), code=None)
    assert problems(report(), code=1)


@pytest.mark.parametrize(
    "change",
    [{"exit": 1}, {"alarms": ["WARNING: CPU: 0"]}, {"taint": 1 << 9}, {"left_loaded": True}],
    ids=lambda change: str(change),
)
def test_a_verdict_that_is_not_clean(change: dict[str, object]) -> None:
    assert problems(report(verdict={**GOOD, **change}))


@pytest.mark.parametrize("outcome", ["failed", "skipped"])
def test_a_test_that_did_not_pass(outcome: str) -> None:
    assert problems(report(outcome=outcome))


def test_the_slowest_tests_are_named_with_setup_and_teardown() -> None:
    phases = [("quick", "call", 1.0), ("slow", "setup", 2.0), ("slow", "call", 0.5), ("slow", "teardown", 1.0)]
    records = [{"kind": "job", "test": test, "when": when, "seconds": took} for test, when, took in phases]
    assert slowest([{"kind": "start"}, *records], 1) == [("slow", 3.5)]
