"""`nvictl run`, put together: the loop, what it reconciles with, and the stations that share it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

from nvi_operator.daemon.answers import Answers
from nvi_operator.daemon.control.place import ControlPlace
from nvi_operator.daemon.control.server import ControlServer
from nvi_operator.daemon.control.streams import Streams
from nvi_operator.daemon.deadline import DeadlineStation
from nvi_operator.daemon.git_source import FollowedGit
from nvi_operator.daemon.hooks import EventHook, Hooks
from nvi_operator.daemon.interfaces import Station
from nvi_operator.daemon.invalidation import Invalidation
from nvi_operator.daemon.journal import log_sink
from nvi_operator.daemon.judge import DirectorySource, Judge
from nvi_operator.daemon.loop import Loop
from nvi_operator.daemon.probes.prober import Prober
from nvi_operator.daemon.probes.record import HealthRecord
from nvi_operator.daemon.recording import Recording
from nvi_operator.daemon.service import Daemon
from nvi_operator.daemon.sync import Sync
from nvi_operator.daemon.trigger import Trigger
from nvi_operator.daemon.wakeup import Wakeup
from nvi_operator.dataclass import dataclass
from nvi_operator.errors import CapabilityError, NviError
from nvi_operator.events.record import EventLog
from nvi_operator.history.decisions import DecisionsFile
from nvi_operator.history.store import History
from nvi_operator.kernel.cached import CachedKernel
from nvi_operator.kernel.netlink.events import KernelEvents
from nvi_operator.kernel.netlink.flow_changes import FlowReports
from nvi_operator.kernel.netns import cookie, living
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


@dataclass(frozen=True)
class RunOptions:
    """What `nvictl run` is to do. The spec is in the directory `path`, or comes from `git`. `host` replaces this
    machine's name. `confirm`: how each new spec is to be confirmed. `checks`: beside those of specs.
    """

    path: Path | None
    git: GitSource | None
    signatures: SignaturesSpec | None
    gateway: str | None
    host: str | None
    rescan_seconds: float
    force: bool
    kernel_lines: bool
    hooks: Sequence[EventHook]
    metrics: Sequence[str]
    confirm: Confirm | None
    protect: Collection[Address]
    checks: Mapping[str, Check]


def run_daemon(options: RunOptions) -> int:
    """Run until SIGTERM or SIGINT; the dataplane stays in place. Returns the exit code.

    Raises ConflictError if another one is running in this network namespace.
    """
    git = options.git
    event_log = EventLog()
    event_log.listeners.append(log_sink())
    checkouts = Checkouts(state_directory() / "git")
    root = options.path or checkouts.spec
    directory = _directory(options, checkouts)
    lock = GatewayLock(
        cookie(), f"nvictl run {git.url if git else os.path.abspath(root)}", wait=LOCK_SECONDS, say=_say
    )
    wakeup = Wakeup()
    with (
        closing(lock),
        lock.running(),
        KernelEvents([TABLE]) as events,
        CachedKernel(events, lock) as kernel,
        Invalidation(kernel.generations, lambda: FlowReports(events)) as invalidation,
        closing(Streams()) as streams,
        closing(Prober(record=HealthRecord(cookie(), _say), say=event_log.note)) as prober,
        closing(Hooks(options.hooks, event_log)) as told,
        History(state_directory()) as revisions,
        ExitStack() as stack,
    ):
        sweep(living)
        decisions = DecisionsFile(state_directory(), keeps_on=True)
        followed = _follow(options, checkouts, decisions, lock, event_log, wakeup)
        if followed is not None:
            stack.enter_context(closing(followed))
        judge = Judge(
            decisions,
            revisions,
            root,
            lock.changing,
            lambda event: event_log.add(daemon.named(event)),
            options.confirm,
            gateway=lambda: daemon,
            source=followed or DirectorySource(),
            has_checks=bool(options.checks),
        )
        daemon = Daemon(
            directory,
            kernel,
            prober,
            force=options.force,
            invalidation=invalidation,
            recording=Recording(revisions, root, event_log.note),
            judge=judge,
            lock_out=LockOut(options.protect, git.url if git else None, event_log.note),
            checks=options.checks,
        )
        deadline = DeadlineStation(judge, partial(wakeup.put, Reason.CONFIRM), time.monotonic)
        stations = [streams, prober, told, deadline, *(followed.stations if followed else ())]
        sync = followed.sync if followed else None
        loop = Loop(
            _told_to(sync, daemon.reconcile) if sync else daemon.reconcile,
            directory=directory,
            events=events,
            emit=event_log.add,
            glance=daemon.glance,
            rescan_seconds=options.rescan_seconds,
            kernel_lines=options.kernel_lines,
            stations=stations,
            wakeup=wakeup,
        )
        prober.on_change = partial(wakeup.put, Reason.HEALTH)
        answers = Answers(loop, event_log, os.path.abspath(root), daemon.look, prober.told, sync, decisions.read)
        with control(streams, event_log, answers), published(options.metrics, event_log, answers, stations):
            loop.run()
    return 0


def _directory(options: RunOptions, checkouts: Checkouts) -> SpecDirectory:
    if options.git is not None:
        return fetched_directory(checkouts, options.git.url.text, options.gateway, options.host)
    assert options.path is not None
    return SpecDirectory(options.path, options.gateway, options.host)


def _follow(
    options: RunOptions,
    checkouts: Checkouts,
    decisions: DecisionsFile,
    lock: GatewayLock,
    event_log: EventLog,
    wakeup: Wakeup,
) -> FollowedGit | None:
    if options.git is None:
        return None
    return FollowedGit(
        options.git,
        options.host or os.uname().nodename,
        checkouts,
        decisions,
        exclusive=lock.changing,
        emit=event_log.add,
        wake=wakeup.put,
        signatures=options.signatures,
    )


def _say(text: str) -> None:
    print(text, flush=True)


def _told_to(sync: Sync, reconcile: Callable[[Trigger], Outcome]) -> Callable[[Trigger], Outcome]:
    """The same reconcile, of whose end `nvictl sync` is told."""

    def reconcile_and_tell(trigger: Trigger) -> Outcome:
        outcome = reconcile(trigger)
        sync.reconciled(trigger, outcome)
        return outcome

    return reconcile_and_tell


@contextmanager
def control(streams: Streams, event_log: EventLog, answers: Answers) -> Iterator[None]:
    """Within, the control socket is there. A gateway works without it."""

    try:
        place = ControlPlace(event_log.note)
    except NviError as error:
        event_log.note(f"{error.message}: nvictl events and status cannot ask this daemon")
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
                station: Station = stack.enter_context(closing(Textfile(Path(target), metrics.text, event_log.note)))
            else:
                station = streams = stack.enter_context(closing(Streams(most=MOST, for_root=0)))
                streams.listen(listener(target), MetricsPage(metrics.page))
            stations.append(station)
        yield
