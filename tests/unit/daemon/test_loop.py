"""The loop in a simulated world: when it reconciles, and why."""

from __future__ import annotations

import os
import queue
import signal
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from nvi_operator.daemon.loop import Loop
from nvi_operator.daemon.trigger import Trigger
from nvi_operator.errors import KernelError
from nvi_operator.kernel.netlink.events import Event
from nvi_operator.reconcile.outcome import Outcome, Reason
from nvi_operator.sources.directory import SpecDirectory
from nvi_operator.sources.fingerprint import fingerprint
from tests.lab.net import until
from tests.unit.daemon.world import HEALED, QUIET, FakeEvents, World, changed

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
