"""The loop in a simulated world: when it reconciles, why, and what is paused."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from nvi_operator.daemon.loop import Loop
from nvi_operator.daemon.trigger import Trigger
from nvi_operator.errors import CapabilityError, ConcurrentChangeError, KernelError, SpecError, VerifyError
from nvi_operator.kernel.netlink.events import Event
from nvi_operator.kinds.sysctl import Sysctl
from nvi_operator.plan.change import NO_PLAN, Action, Change, Plan
from nvi_operator.reconcile.outcome import Outcome, Reason
from nvi_operator.sources.directory import SpecDirectory
from nvi_operator.sources.fingerprint import fingerprint
from nvi_operator.state.host import Ref
from tests.lab.net import until
from tests.unit.daemon.world import FakeEvents, World, failed

QUIET = Outcome("edge", requested=False)  # nothing to change, and nothing to say


def changed(path: str) -> Plan:
    """A plan that changes one setting."""
    return replace(NO_PLAN, steps=(Change(Ref("sysctl", path), Action.CREATE, None, Sysctl(path, "1")),))


HEALED = Outcome("edge", plan=changed("x"), requested=False)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.yaml"
    file.write_text("a: 1\n")
    os.utime(file, (1, 1))
    return file


@pytest.fixture
def world(spec: Path) -> Iterator[World]:
    made = World(spec.parent)
    yield made
    made.events.close()


# --------------------------------------------------------------------------- what triggers it


def test_a_pass_at_the_start_and_then_by_the_timer(world: World) -> None:
    world.run(150)
    assert world.moments == [0, 60, 120]
    assert world.reasons == ["start", "timer", "timer"]
    assert world.watch.closed


def test_saves_are_gathered(world: World, spec: Path) -> None:
    for after in (10.0, 10.05, 10.1):
        world.clock.at(after, lambda: spec.write_text("a: 22\n") and world.file_changed())
    world.run(15)
    assert world.moments == [0, 10.22]
    assert world.reasons[1] == "directory"


def test_a_directory_that_never_rests_is_read_at_the_cap(world: World, spec: Path) -> None:
    for number in range(40):
        world.clock.at(10 + number * 0.05, lambda n=number: spec.write_text("#" * (n + 9)) and world.file_changed())
    world.run(11.6)
    assert world.moments == [0, 11.5]


def test_a_file_that_is_open_for_writing_is_not_read(world: World, spec: Path) -> None:
    world.clock.at(10, lambda: world.open_files.add("gateway.yaml"))
    world.clock.at(10, lambda: spec.write_text("half:\n") and world.file_changed())
    world.clock.at(11, world.events.happen)
    world.clock.at(13, lambda: spec.write_text("half:\n  and: half\n") and world.file_changed())
    world.clock.at(14, world.open_files.clear)
    world.run(20)
    assert world.reasons == ["start", "kernel", "directory"]
    assert not world.triggers[1][1].reread, "what the kernel reports is answered meanwhile, by the last spec"
    assert 14 <= world.moments[2] <= 14.2


def test_the_timer_does_not_read_a_file_that_is_open_for_writing_either(world: World, spec: Path) -> None:
    world.clock.at(55, lambda: world.open_files.add("gateway.yaml") or spec.write_text("half:\n"))
    world.clock.at(62, world.open_files.clear)
    world.run(70)
    assert world.reasons == ["start", "timer", "directory"]
    assert not world.triggers[1][1].reread


def test_a_file_that_stays_open_is_read_in_the_end(world: World, spec: Path) -> None:
    world.open_files.add("gateway.yaml")
    world.clock.at(10, lambda: spec.write_text("a: 22\n") and world.file_changed())
    world.run(50)
    assert world.reasons == ["start", "directory"]
    assert 20 <= world.moments[1] < 20.5
    assert world.log == [f"{spec}: open for writing for 10 s: read as it is"]


def test_a_file_that_is_written_without_end_is_read_in_the_end(world: World, spec: Path) -> None:
    world.open_files.add("gateway.yaml")
    for number in range(100):
        world.clock.at(1 + number, lambda n=number: spec.write_text("#" * (n + 9)) and world.file_changed())
    world.run(65)
    assert [reason for reason in world.reasons if reason == "directory"] == ["directory"]
    assert world.log == [f"{spec}: open for writing for 60 s: read as it is"]


def test_the_watch_is_armed_before_each_pass(world: World) -> None:
    armed: list[int] = []
    world.answers = [lambda trigger: armed.append(world.watch.armed) or QUIET] * 2
    world.run(61)
    assert armed == [1, 2]


def test_untouched_files_need_no_pass(world: World, spec: Path) -> None:
    until(lambda: fingerprint(spec.parent).settled, "a fingerprint that proves something")
    world.clock.at(10, lambda: world.file_changed())
    world.run(15)
    assert world.moments == [0]


def test_a_report_of_the_kernel_after_a_calm_is_answered_at_once(world: World) -> None:
    world.clock.at(10, world.events.happen)
    world.run(15)
    assert world.moments == [0, 10]
    assert world.reasons[1] == "kernel"
    assert world.triggers[1][1].changed_by == ("evil (pid 7)",)


def test_a_burst_of_reports_makes_two_passes(world: World) -> None:
    for number in range(10):
        world.clock.at(10 + number / 1000, world.events.happen)
    world.run(15)
    assert world.moments == [0, 10, 10.029]


def test_lost_reports_are_a_reason_of_their_own(world: World) -> None:
    world.clock.at(10, lambda: world.events.happen(Event("overflow")))
    world.run(15)
    assert world.reasons == ["start", "overflow"]


def test_a_half_saved_directory_stays_due_when_the_kernel_comes_first(world: World, spec: Path) -> None:
    world.clock.at(10, lambda: spec.write_text("half") and world.file_changed())
    world.clock.at(10.01, world.events.happen)
    world.run(15)
    assert world.moments == [0, 10.01, 10.12]
    assert world.reasons[1:] == ["kernel", "directory"]
    assert not world.triggers[1][1].reread


# --------------------------------------------------------------------------- its own echo


def test_an_own_change_makes_one_more_pass_and_no_third(world: World) -> None:
    def apply(_: Trigger) -> Outcome:
        world.events.happen(Event("nft", os.getpid(), "nvictl", own=True))
        return Outcome("edge", plan=changed("x"))

    world.answers = [apply]
    world.run(30)
    assert world.reasons == ["start", "kernel"]
    assert world.triggers[1][1].changed_by == ()


def test_a_foreign_change_during_a_pass_is_not_lost(world: World) -> None:
    world.answers = [lambda trigger: world.events.happen() or QUIET, HEALED]
    world.run(30)
    assert world.reasons[:2] == ["start", "kernel"]
    assert world.triggers[1][1].changed_by == ("evil (pid 7)",)


def test_passes_that_echo_without_a_change_become_rare(world: World) -> None:
    world.answers = [lambda trigger: world.events.happen() or QUIET] * 1000
    world.run(30)
    assert len(world.triggers) < 45
    gaps = [b - a for a, b in pairwise(world.moments)]
    assert gaps[-1] >= 1.0


def test_after_noise_a_calm_makes_it_quick_again(world: World) -> None:
    for number in range(200):
        world.clock.at(10 + number / 100, world.events.happen)
    world.clock.at(20, world.events.happen)
    world.run(25)
    assert world.moments[-1] == 20
    assert len(world.triggers) < 14


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


# --------------------------------------------------------------------------- signals, systemd


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_signal_stops_it_after_the_pass_under_way(world: World, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    ended: list[str] = []

    def long_pass(_: Trigger) -> Outcome:
        os.kill(os.getpid(), number)
        ended.append("ended")
        return QUIET

    world.answers = [long_pass]
    world.loop.run()
    assert ended == ["ended"]
    assert len(world.triggers) == 1
    assert world.watch.closed
    assert signal.getsignal(number) is before


def test_hup_is_a_pass_now(world: World) -> None:
    world.clock.at(10, lambda: os.kill(os.getpid(), signal.SIGHUP))
    world.run(15)
    assert world.moments == [0, 10]
    assert world.reasons[1] == "signal"
    assert world.triggers[1][1].reread


def test_hup_during_a_pass_is_another_pass(world: World) -> None:
    world.answers = [lambda trigger: os.kill(os.getpid(), signal.SIGHUP) or QUIET]
    world.run(15)
    assert world.reasons == ["start", "signal"]


def test_systemd_hears_ready_status_and_stopping(world: World) -> None:
    world.answers = [QUIET, KernelError("rule x: no")]
    world.run(60.5)
    assert world.notifier.sent[:3] == ["READY=1", "STATUS=edge: in sync", "STATUS=rule x: no"]
    assert "STOPPING=1" in world.notifier.sent


def test_the_watchdog_is_fed_in_time(spec: Path) -> None:
    world = World(spec.parent, interval=5.0)
    world.run(59)
    assert world.notifier.sent.count("WATCHDOG=1") == 12
    assert world.moments == [0]
    world.events.close()


def test_with_real_time_files_and_signals(spec: Path) -> None:
    reconciles: queue.Queue[frozenset[Reason]] = queue.Queue()

    def reconcile(trigger: Trigger) -> Outcome:
        reconciles.put(trigger.reasons)
        return QUIET

    def user() -> None:
        try:
            seen.append(reconciles.get(timeout=30))
            spec.write_text("a: 333\n")
            seen.append(reconciles.get(timeout=30))
            os.kill(os.getpid(), signal.SIGHUP)
            seen.append(reconciles.get(timeout=30))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    seen: list[frozenset[Reason]] = []
    events = FakeEvents()
    thread = threading.Thread(target=user)
    loop = Loop(reconcile, directory=SpecDirectory(spec.parent), events=events, emit=lambda event: None)
    thread.start()
    loop.run()
    thread.join(5)
    events.close()
    assert seen == [{Reason.START}, {Reason.DIRECTORY}, {Reason.SIGNAL}]
