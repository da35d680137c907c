"""A revision that waits for its confirmation, killed between any two steps: who looks next knows what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvi_operator.errors import ConflictError, KernelError
from nvi_operator.history.decisions import DecisionsFile, Moment, ReturnTarget
from nvi_operator.history.revision import Content, Requester, Revision, RevisionResult, Standing
from nvi_operator.history.store import History
from nvi_operator.rollout import trial, waiter
from nvi_operator.rollout.trial import Confirm, Trial

OLD, NEW = Content("edge", {"a.yaml": b"old"}), Content("edge", {"a.yaml": b"new"})


class Clock:
    def __init__(self) -> None:
        self.moment = Moment("boot", 100.0)

    def __call__(self) -> Moment:
        return self.moment


@pytest.fixture
def history(tmp_path: Path) -> History:
    made = History(tmp_path)
    for content, standing in ((OLD, Standing.CONFIRMED), (NEW, Standing.PENDING)):
        made.add(Revision(0, 1.0, "edge", "apply", Requester(0, 1), RevisionResult.APPLIED, standing), content)
    return made


def begun(decisions: DecisionsFile, clock: Clock, armed: list[tuple[int, float]]) -> Trial:
    made = Trial(decisions, Confirm(60.0), NEW, ReturnTarget(1, OLD), now=clock, arm=lambda *what: armed.append(what))
    made.step(2)
    made.step(2)
    return made


def test_the_decision_is_on_disk_and_something_waits_before_the_first_step(tmp_path: Path, history: History) -> None:
    decisions, clock, armed = DecisionsFile(tmp_path), Clock(), list[tuple[int, float]]()
    made = begun(decisions, clock, armed)
    pending = decisions.read().pending
    assert pending is not None
    assert (pending.digest, pending.back, armed) == (NEW.digest, ReturnTarget(1, OLD), [(2, 60.0)])
    clock.moment = Moment("boot", 150.0)  # the apply took 50 s
    made.done(2)
    pending = decisions.read().pending
    assert pending is not None
    assert pending.left(clock()) == 60.0
    with pytest.raises(ConflictError, match="waits for confirmation, 60 s left"):
        trial.refuse_pending(decisions.read(), clock())
    trial.confirm(decisions, history, "user 7", clock())
    assert decisions.read().pending is None
    confirmed = history.newest(Standing.CONFIRMED)
    assert confirmed is not None
    assert (confirmed.number, confirmed.confirmed_by) == (2, "user 7")


def test_it_cannot_be_confirmed_when_it_is_too_late(tmp_path: Path, history: History) -> None:
    decisions, clock = DecisionsFile(tmp_path), Clock()
    begun(decisions, clock, [])
    clock.moment = Moment("boot", 160.0)
    with pytest.raises(ConflictError, match="revision 2: not confirmed within 60 s: it is given up"):
        trial.confirm(decisions, history, "user 7", clock())
    assert trial.gave_up(decisions, history, clock()) == "not confirmed within 60 s"
    held = decisions.read().held
    assert held is not None
    assert (held.digest, held.back) == (NEW.digest, ReturnTarget(1, OLD))
    gone = history.revision(2)
    assert gone is not None
    assert gone.standing is Standing.RETURNED


def test_what_was_reverted_needs_no_confirmation_and_what_is_in_between_does(tmp_path: Path) -> None:
    for reverted in (True, False):
        decisions = DecisionsFile(tmp_path)
        made = begun(decisions, Clock(), [])
        error = KernelError("refused")
        error.reverted = reverted
        made.failed(error)
        assert (decisions.read().pending is None) is reverted


def test_nothing_is_changed_where_nothing_could_wait(tmp_path: Path) -> None:
    def fails(revision: int, seconds: float) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    decisions = DecisionsFile(tmp_path)
    made = Trial(decisions, Confirm(60.0), NEW, ReturnTarget(1, OLD), now=Clock(), arm=fails)
    with pytest.raises(KernelError, match="nothing was changed"):
        made.step(2)
    assert decisions.read().pending is None


def test_the_timer_of_systemd_outlives_the_operator_and_looks_at_the_decision() -> None:
    command = waiter.timer(7, 300.0)
    assert "--on-active=300s" in command
    assert any(word.startswith("--unit=nvi-operator-confirm-7-") for word in command)
    assert command[-3:] == ["nvi_operator", "abort", "--when-due"]
