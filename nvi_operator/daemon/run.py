"""`nvictl run`, put together: the loop, what it reconciles with, and the stations that share it."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from nvi_operator.daemon.answers import Answers
from nvi_operator.daemon.control.place import ControlPlace
from nvi_operator.daemon.control.server import ControlServer
from nvi_operator.daemon.control.streams import Streams
from nvi_operator.daemon.fetcher import Fetcher
from nvi_operator.daemon.hooks import EventHook, Hooks
from nvi_operator.daemon.interfaces import Station
from nvi_operator.daemon.invalidation import Invalidation
from nvi_operator.daemon.journal import log_sink
from nvi_operator.daemon.judge import DeadlineStation, Judge
from nvi_operator.daemon.loop import Loop
from nvi_operator.daemon.probes.prober import Prober
from nvi_operator.daemon.probes.record import HealthRecord
from nvi_operator.daemon.proof import Proof
from nvi_operator.daemon.recording import Recording
from nvi_operator.daemon.service import NO_CHECKS, Daemon
from nvi_operator.daemon.sync import Sync, trial_of
from nvi_operator.daemon.trigger import Trigger
from nvi_operator.errors import CapabilityError, NviError
from nvi_operator.events.event import Note
from nvi_operator.events.record import EventLog
from nvi_operator.history.decisions import DecisionsFile
from nvi_operator.history.store import History
from nvi_operator.kernel.cached import CachedKernel
from nvi_operator.kernel.netlink.events import KernelEvents
from nvi_operator.kernel.netlink.flow_changes import FlowReports
from nvi_operator.kernel.netns import cookie
from nvi_operator.language.model.checks import Check
from nvi_operator.language.model.values import Address
from nvi_operator.language.operator.git import GitSource, SignaturesSpec
from nvi_operator.reconcile.outcome import Outcome, Reason
from nvi_operator.rollout.lockout import LockOut
from nvi_operator.rollout.place import state_directory, sweep
from nvi_operator.rollout.trial import Confirm
from nvi_operator.ruleset.table import TABLE
from nvi_operator.sources.directory import SpecDirectory
from nvi_operator.sources.git.checkouts import Checkouts
from nvi_operator.sources.git.naming import fetched_directory
from nvi_operator.store.lock import GatewayLock

LOCK_SECONDS = 10.0  # that a reconcile waits for another process's change; then it is tried again later


def run_daemon(
    path: Path | None,
    *,
    git: GitSource | None = None,
    signatures: SignaturesSpec | None = None,
    gateway: str | None,
    host: str | None = None,
    rescan_seconds: float,
    force: bool,
    kernel_lines: bool = False,
    hooks: Sequence[EventHook] = (),
    metrics: Sequence[str] = (),
    confirm: Confirm | None = None,
    protect: Collection[Address] = (),
    checks: Mapping[str, Check] = NO_CHECKS,
) -> int:
    """Run until SIGTERM or SIGINT; the dataplane stays in place. Returns the exit code. `confirm`: how each new spec
    is to be confirmed. `host` replaces this machine's name.

    The spec is in the directory `path`, or comes from `git`. Raises ConflictError if another one is running in this
    network namespace.
    """

    def say(text: str) -> None:
        print(text, flush=True)

    def note(text: str) -> None:
        event_log.add(Note(note=text))

    event_log = EventLog()
    event_log.listeners.append(log_sink())
    checkouts = Checkouts(state_directory() / "git")
    path = path or checkouts.spec
    directory = (
        SpecDirectory(path, gateway, host)
        if git is None
        else fetched_directory(checkouts, git.url.text, gateway, host)
    )
    lock = GatewayLock(
        cookie(), f"nvictl run {git.url if git else os.path.abspath(path)}", wait=LOCK_SECONDS, say=say
    )
    with (
        closing(lock),
        lock.running(),
        KernelEvents([TABLE]) as events,
        CachedKernel(events, lock) as kernel,
        Invalidation(kernel.generations, lambda: FlowReports(events)) as invalidation,
        closing(Streams()) as streams,
        closing(Prober(record=HealthRecord(cookie(), say))) as prober,
        closing(Hooks(hooks, event_log)) as told,
        History(state_directory()) as revisions,
        ExitStack() as stack,
    ):
        sweep()
        decisions = DecisionsFile(state_directory(), keeps_on=True)
        recording = Recording(revisions, path, note)
        judge = Judge(
            decisions,
            revisions,
            path,
            lock.changing,
            lambda event: event_log.add(daemon.named(event)),
            confirm,
            needs=lambda: trial_of(checkouts) if git else None,
        )
        daemon = Daemon(
            directory,
            kernel,
            prober,
            force=force,
            invalidation=invalidation,
            recording=recording,
            judge=judge,
            lock_out=LockOut(protect, git.url if git else None, note),
            checks=checks,
        )
        judge.failing, judge.has_checks = daemon.failing_checks, bool(checks)
        judge.is_first = lambda: not revisions.was_damaged and daemon.is_vacant()
        deadline = DeadlineStation(judge, lambda: loop.trigger(Reason.CONFIRM), time.monotonic)
        stations: list[Station] = [streams, prober, told, deadline]
        sync = None
        if git is not None:
            fetcher = Fetcher(
                git,
                host or os.uname().nodename,
                checkouts,
                event_log.add,
                lambda: loop.trigger(Reason.SOURCE),
                signatures=signatures,
            )
            proof = Proof(
                decisions,
                lock.changing,
                fetcher.reach,
                lambda: loop.trigger(Reason.CONFIRM),
                lambda: fetcher.answered,
            )
            judge.proven = proof.of
            # What was not reached before proves nothing, where no gateway was there yet.
            judge.is_first = lambda: (
                fetcher.state.fetched is not None and not revisions.was_damaged and daemon.is_vacant()
            )
            stations += [stack.enter_context(closing(fetcher)), stack.enter_context(closing(proof))]
            sync = Sync(fetcher)

        def reconcile_and_tell(trigger: Trigger) -> Outcome:
            outcome = daemon.reconcile(trigger)
            if sync is not None:
                sync.reconciled(trigger, outcome)
            return outcome

        loop = Loop(
            reconcile_and_tell,
            directory=directory,
            events=events,
            emit=event_log.add,
            glance=daemon.glance,
            rescan_seconds=rescan_seconds,
            kernel_lines=kernel_lines,
            stations=stations,
        )
        prober.on_change = lambda: loop.trigger(Reason.HEALTH)
        where = os.path.abspath(path)
        answers = Answers(loop, event_log, where, daemon.look, prober.told, sync, decisions.read)
        with control(streams, event_log, answers), published(metrics, event_log, answers, stations):
            loop.run()
    return 0


@contextmanager
def control(streams: Streams, event_log: EventLog, answers: Answers) -> Iterator[None]:
    """Within, the control socket is there. A gateway works without it."""

    def note(text: str) -> None:
        event_log.add(Note(note=text))

    try:
        place = ControlPlace(note)
    except NviError as error:
        note(f"{error.message}: nvictl events and status cannot ask this daemon")
        yield
        return
    trusted = frozenset({0, os.geteuid()})
    streams.listen(place.listener, ControlServer(streams, event_log, answers.reading, answers.changing, trusted))
    with closing(place):
        yield


@contextmanager
def published(
    targets: Sequence[str], event_log: EventLog, answers: Answers, stations: list[Station]
) -> Iterator[None]:
    """Within, metrics are there: at a loopback address, or in a file. Raises NviError where that cannot be."""
    if not targets:
        yield
        return
    try:
        from nvi_operator.daemon.metrics.families import Metrics
    except ImportError as error:
        raise CapabilityError(
            f"metrics: {error}", hint="install python3-prometheus-client, or nvi-operator with the extra `metrics`"
        ) from error
    from nvi_operator.daemon.metrics.server import MOST, MetricsPage, listener
    from nvi_operator.daemon.metrics.textfile import Textfile

    metrics = Metrics(lambda: answers.status(events=0), event_log)
    with ExitStack() as stack:
        for target in targets:
            if target.startswith("/"):
                station: Station = stack.enter_context(
                    closing(Textfile(Path(target), metrics.text, lambda text: event_log.add(Note(note=text))))
                )
            else:
                station = streams = stack.enter_context(closing(Streams(most=MOST, for_root=0)))
                streams.listen(listener(target), MetricsPage(metrics.page))
            stations.append(station)
        yield
