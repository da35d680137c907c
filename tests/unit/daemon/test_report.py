"""What the log and `systemctl status` say of an outcome."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nvi_operator import errors
from nvi_operator.daemon.report import SHOWN, log_entries, next_attempt, status_line
from nvi_operator.errors import KernelError, NftCrashedError, NviError, Position, SpecError, SpecProblem
from nvi_operator.kinds.sysctl import Sysctl
from nvi_operator.plan.change import NO_PLAN, Action, Change, Plan
from nvi_operator.reconcile.outcome import Outcome
from nvi_operator.sources.revision import Revision
from nvi_operator.state.host import Ref

BEFORE = Outcome("edge", requested=False)
AT = Revision("a1b2c3d", "main", dirty=False)
WRONG = SpecError([SpecProblem(Position("gateway.yaml", 3, 5), "spec.uplinks", "no such uplink")])


def settings(count: int) -> Plan:
    steps = []
    for number in range(count):
        setting = Sysctl(f"net/ipv4/conf/lan{number}/rp_filter", "0")
        steps.append(Change(Ref("sysctl", setting.path), Action.CREATE, None, setting))
    return replace(NO_PLAN, steps=tuple(steps))


def entries(outcome: Outcome, last: Outcome = BEFORE, *, kernel: bool = False) -> list[str]:
    return list(log_entries(outcome, last, kernel=kernel))


def test_the_first_reconcile_that_changes_nothing_says_so_and_later_ones_are_silent() -> None:
    assert entries(Outcome("edge", AT), Outcome()) == ["edge at a1b2c3d (main): nothing to change: in sync"]
    assert entries(Outcome("edge", AT, requested=False)) == []


def test_a_change_is_told_with_its_lines_and_its_time() -> None:
    (entry,) = entries(Outcome("edge", plan=settings(1), seconds=0.0123))
    head, *_, end = entry.splitlines()
    assert head == "edge: changes"
    assert "+ the gateway itself: 1 setting" in entry.splitlines()
    assert "lan0" not in entry
    assert "lan0" in entries(Outcome("edge", plan=settings(1)), kernel=True)[0]
    assert end == "edge: applied and verified in 12 ms: 1 created: in sync"


def test_a_long_change_is_summed_up_and_the_kernels_lines_are_cut() -> None:
    plan = settings(SHOWN * 2)
    (entry,) = entries(Outcome("edge", plan=plan))
    assert entry.splitlines()[1:-1] == [f"+ the gateway itself: {SHOWN * 2} settings"]
    (entry,) = entries(Outcome("edge", plan=plan), kernel=True)
    assert f"the first {SHOWN} lines" in entry
    assert len(entry.splitlines()) == SHOWN + 4


def test_drift_names_who_changed_it() -> None:
    outcome = Outcome("edge", plan=settings(1), requested=False, changed_by=("ip (pid 7)",), seconds=0.002)
    (entry,) = entries(outcome)
    assert outcome.healed == {"sysctl net/ipv4/conf/lan0/rp_filter"}
    assert entry.startswith("edge: drift by ip (pid 7)\n")
    assert entry.endswith("edge: healed in 2 ms: in sync")


def test_drift_beside_a_table_that_cannot_be_listed_is_told() -> None:
    error = NftCrashedError("libnftables died")
    (entry,) = entries(Outcome("edge", plan=settings(1), requested=False, errors=(error,), failed=True))
    assert entry.startswith("edge: drift beside the nft table\n")
    assert entry.endswith("\nhealed")


def test_a_wrong_spec_is_told_once_and_so_is_its_end() -> None:
    wrong = Outcome("edge", requested=False, errors=(WRONG,))
    assert entries(wrong) == ["edge: the new spec is wrong; the last good one stays in force"]
    assert entries(wrong, wrong) == []
    assert entries(BEFORE, wrong) == ["edge: the spec is right again"]
    assert entries(Outcome(errors=(WRONG,), failed=True), Outcome()) == [], "none is in force"


def test_a_note_is_told_once() -> None:
    noted = Outcome("edge", requested=False, notes=("dataplane bpf: no module",))
    assert entries(noted) == ["edge: note: dataplane bpf: no module"]
    assert entries(noted, noted) == []


def test_the_status_is_the_first_error_or_that_all_is_well_and_what_is_paused() -> None:
    assert status_line(Outcome("edge", AT), ()) == "edge at a1b2c3d (main): in sync"
    assert status_line(Outcome("edge"), {"b", "a"}) == "paused: a, b; edge: in sync"
    assert status_line(Outcome("edge", errors=(KernelError("rule: no"),)), ()) == "rule: no"


def test_the_next_attempt_is_told() -> None:
    assert next_attempt(0.05) == "  next attempt: in 0.05 s"
    assert next_attempt(None) == "  next attempt: at the next change"


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (SpecError([]), False),
        (errors.ConflictError("x"), False),
        (errors.CapabilityError("x"), False),
        (errors.BusyError("x"), True),
        (KernelError("x"), True),
        (errors.VerifyError("x"), True),
        (errors.RevertError("x"), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_outcome_says_whether_waiting_can_help(error: NviError, retryable: bool) -> None:
    assert Outcome(errors=(error,)).retryable is retryable
