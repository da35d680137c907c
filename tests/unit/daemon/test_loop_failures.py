"""The loop when a reconcile fails, or another process undoes it: when it tries again, and what is paused."""

from __future__ import annotations

from pathlib import Path

from nvi_operator.daemon.trigger import Trigger
from nvi_operator.errors import CapabilityError, ConcurrentChangeError, KernelError, SpecError, VerifyError
from nvi_operator.reconcile.outcome import Outcome, Reason
from tests.unit.daemon.world import HEALED, QUIET, World, failed

# --------------------------------------------------------------------------- failures


def test_a_refusal_is_retried_ever_more_rarely(world: World) -> None:
    world.answers = [KernelError("rule x: create: no")] * 9
    world.run(250)
    assert world.moments[:8] == [0, 1, 3, 7, 15, 31, 63, 123]
    assert set(world.reasons[1:7]) == {"retry"}
    assert world.log == ["rule x: create: no\n  next attempt: in 1 s"]


def test_an_error_that_lasts_is_told_again(world: World) -> None:
    world.answers = [KernelError("rule x: create: no")] * 100
    world.run(1300)
    assert len(world.log) == 3


def test_what_another_process_caused_is_tried_again_within_50_ms(world: World) -> None:
    world.answers = [KernelError("link nvi0: it has gone", transient=True)] * 7
    world.run(10)
    assert world.moments == [0, 0.05, 0.15, 0.35, 0.75, 1.55, 3.15, 6.35]
    assert world.log == ["link nvi0: it has gone\n  next attempt: in 0.05 s"]


def test_a_storm_of_reports_does_not_put_off_the_quick_retry(world: World) -> None:
    def fail(_: Trigger) -> Outcome:
        world.events.happen()
        return failed(ConcurrentChangeError("nft table: changed meanwhile"))

    for number in range(100):
        world.clock.at(number / 50, world.events.happen)
    world.answers = [fail]
    world.run(3)
    assert world.moments[1] <= 0.05


def test_a_refusal_after_quick_retries_waits_long(world: World) -> None:
    world.answers = [VerifyError("x"), VerifyError("x"), KernelError("rule x: create: no")]
    world.run(3)
    assert world.moments == [0, 0.05, 0.15, 1.15]


def test_what_the_kernel_does_not_report_is_looked_at_each_second(world: World) -> None:
    world.clock.at(10.4, lambda: world.unreported.append(True))
    world.run(20)
    assert world.reasons == ["start", "kernel"]
    assert 10.4 < world.moments[1] <= 11.4


def test_a_success_ends_the_backoff(world: World) -> None:
    world.answers = [KernelError("no"), KernelError("no"), QUIET, KernelError("no")]
    world.run(65)
    assert world.moments == [0, 1, 3, 63, 64]
    assert len(world.log) == 2


def test_what_waiting_cannot_help_waits_for_a_change(world: World, spec: Path) -> None:
    world.answers = [SpecError([])]
    world.clock.at(10, lambda: spec.write_text("better: 1\n") and world.file_changed())
    world.run(30)
    assert world.moments == [0, 10.12]
    assert "at the next change" in world.log[0]


def test_after_a_failure_even_an_untouched_directory_is_a_reason(world: World) -> None:
    world.answers = [CapabilityError("no")]
    world.clock.at(10, lambda: world.file_changed())
    world.run(30)
    assert world.moments == [0, 10.12]


def test_an_error_that_lasts_is_told_again_to_whoever_saves_a_file(world: World, spec: Path) -> None:
    world.answers = [CapabilityError("no")] * 4
    world.clock.at(10, world.events.happen)
    world.clock.at(20, lambda: spec.write_text("a: 2\n# and more") and world.file_changed())
    world.run(30)
    assert len(world.triggers) == 3
    assert sum(text.startswith("no") for text in world.log) == 2


def test_a_failing_pass_is_not_woken_by_what_it_put_back(world: World) -> None:
    def fail(_: Trigger) -> Outcome:
        world.events.happen()
        return failed(KernelError("no"))

    world.answers = [fail] * 4
    world.run(10)
    assert world.moments == [0, 1, 3, 7]


def test_someone_elses_change_during_a_hopeless_pass_makes_another_attempt(world: World) -> None:
    def fail(_: Trigger) -> Outcome:
        world.events.happen()
        return failed(CapabilityError("no"))

    world.answers = [fail]
    world.run(10)
    assert world.moments == [0, 1]


def test_an_event_cuts_the_waiting_short(world: World) -> None:
    world.answers = [KernelError("no")] * 6
    world.clock.at(40, world.events.happen)
    world.run(50)
    assert world.moments == [0, 1, 3, 7, 15, 31, 40]


def test_an_error_beside_the_work_does_not_slow_down_healing(world: World) -> None:
    world.answers = [Outcome("edge", requested=False, errors=(SpecError([]),))] * 3
    world.clock.at(10, world.events.happen)
    world.run(15)
    assert world.moments == [0, 10]
    assert world.log == [
        "edge: the new spec is wrong; the last good one stays in force\n\n  next attempt: at the next change"
    ]


def test_a_watch_that_cannot_be_is_told_once_and_the_timer_goes_on(world: World) -> None:
    world.watch.error = KernelError("no watches left")
    world.run(130)
    assert world.moments == [0, 60, 120]
    assert sum("no watches left" in text for text in world.log) <= 3


# --------------------------------------------------------------------------- fights


def test_a_fight_ends_in_a_pause_that_names_object_and_process(world: World) -> None:
    def fought_over(trigger: Trigger) -> Outcome:
        if "sysctl x" in trigger.paused or not trigger.reasons & {Reason.KERNEL, Reason.RELEASE}:
            return QUIET
        world.clock.at(0.001, world.events.happen)  # the other one puts his back
        return HEALED

    world.answers = [fought_over] * 1000
    world.clock.at(1, world.events.happen)
    world.run(50)
    assert sum(trigger.paused == frozenset() for _, trigger in world.triggers) == 11
    *heals, report = world.log
    assert all(entry.startswith("edge: drift by evil (pid 7)\n") for entry in heals[::2])
    assert [event.kind for event in world.happened] == ["drift", "healed"] * 10 + ["paused"]
    assert report.startswith("sysctl x: changed by evil (pid 7), and healed 10 times")
    assert world.notifier.sent[-3].startswith("STATUS=paused: sysctl x; edge: in sync")


def test_a_paused_object_is_tried_again(world: World) -> None:
    world.answers = [QUIET, *[HEALED] * 10]
    for number in range(10):
        world.clock.at(1 + number, world.events.happen)
    world.clock.at(30, world.events.happen)
    world.run(75)
    assert world.triggers[-2][1].paused == {"sysctl x"}
    assert world.reasons[-1] == "release"
    assert world.moments[-1] == 70
    assert world.triggers[-1][1].paused == frozenset()
    assert "reconciled again" in world.log[-1]
