"""`nvictl run`: the shell around one reconcile. When one is due is decided in `loop.py`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

from nvi_operator.daemon.answers import Answers, Seen
from nvi_operator.daemon.control.place import ControlPlace
from nvi_operator.daemon.control.server import ControlServer
from nvi_operator.daemon.control.streams import Streams
from nvi_operator.daemon.fetcher import Fetcher
from nvi_operator.daemon.garbage import Garbage
from nvi_operator.daemon.hooks import Hook, Hooks
from nvi_operator.daemon.interfaces import Station
from nvi_operator.daemon.invalidation import Invalidation
from nvi_operator.daemon.journal import log_sink
from nvi_operator.daemon.judge import DeadlineStation, InForce, Judge
from nvi_operator.daemon.loop import Loop
from nvi_operator.daemon.probes.checks import failing
from nvi_operator.daemon.probes.prober import Prober, probed
from nvi_operator.daemon.recording import Recording
from nvi_operator.daemon.sync import Sync, trial_of
from nvi_operator.daemon.trigger import Trigger
from nvi_operator.errors import CapabilityError, NftCrashedError, NviError
from nvi_operator.events.event import Note
from nvi_operator.events.record import History
from nvi_operator.history.decisions import DecisionsFile, Suspension
from nvi_operator.history.revision import Standing
from nvi_operator.history.store import History as Revisions
from nvi_operator.kernel.cached import CachedKernel
from nvi_operator.kernel.inspect.survey import take_survey
from nvi_operator.kernel.netlink.events import KernelEvents
from nvi_operator.kernel.netlink.flow_changes import FlowReports
from nvi_operator.kernel.netns import cookie
from nvi_operator.kinds.nft_table import NFT_TABLE
from nvi_operator.language.load.loader import LoadedSpec
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.settings import Numbers
from nvi_operator.language.operator.git import GitSource, SignaturesSpec
from nvi_operator.language.wording import counted
from nvi_operator.plan.change import NO_PLAN, Change, Plan
from nvi_operator.plan.left_alone import without_ignored
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import preview, reconcile
from nvi_operator.reconcile.outcome import Outcome, Reason
from nvi_operator.reconcile.precheck import problems, refuse_collisions
from nvi_operator.rollout.place import state_directory, sweep
from nvi_operator.rollout.trial import Confirm
from nvi_operator.ruleset.table import TABLE
from nvi_operator.sources.directory import SpecDirectory
from nvi_operator.sources.git.checkouts import Checkouts
from nvi_operator.sources.git.naming import fetched_directory
from nvi_operator.state.host import HostState
from nvi_operator.store.lock import GatewayLock
from nvi_operator.topology.faults import faults
from nvi_operator.topology.model import Topology

LOCK_SECONDS = 10.0  # that a reconcile waits for another process's change; then it is tried again later


class Daemon:
    """Reconciles a gateway with the good spec of a directory.

    It reads of the kernel what changed since the last reconcile (`kernel/cached.py`), and now and then everything.
    """

    def __init__(
        self,
        directory: SpecDirectory,
        kernel: CachedKernel,
        prober: Prober,
        *,
        force: bool = False,
        invalidation: Invalidation | None = None,
        recording: Recording | None = None,
        judge: Judge | None = None,
    ) -> None:
        self._directory = directory
        self._recording = recording
        self._judge = judge
        self._used: InForce | None = None  # in the last reconcile
        self._delta: LoadedSpec | None = None  # a spec that is an edit of the one before
        self._prober = prober
        self._kernel = kernel
        self._invalidation = invalidation
        self._force = force  # although other programs use the gateway's bits of the packet mark
        self._accepted: LoadedSpec | None = None  # the good spec that passed the precheck; `_compiler` is for it
        self._compiler = Compiler("", None)
        self._reached: HostState | None = None  # the desired state of the last reconcile that was not stopped
        self._notes: tuple[str, ...] = ()
        self._faults: tuple[GatewaySpec, Topology, tuple[str, ...]] | None = None
        self._garbage = Garbage()

    def glance(self) -> bool:
        """Did anything change that the kernel does not report to the loop? Takes microseconds."""
        if self._invalidation is not None and self._invalidation.take_blockers():
            self._kernel.forget_facts()
            return True
        return self._kernel.unreported_change()

    def look(self) -> Seen:
        """The gateway as it is now, against the spec in force. Changes nothing. Raises NviError."""
        spec = self._accepted.spec if self._accepted else None
        with self._kernel.using(spec.numbers if spec else Numbers()) as kernel:
            plan = without_ignored(preview(kernel, self._compiler), spec.drift if spec else None)
            counters = kernel.counters(plan.before)
        return Seen(self._compiler.name, plan, counters, self._faults_of(spec, plan.topology))

    def failing_checks(self) -> Mapping[str, str]:
        """Those of the spec in force that do not work, and why. Waits for answers."""
        spec = self._compiler.spec
        return failing(spec.checks, self._compiler.topology) if spec and spec.checks else {}

    def _faults_of(self, spec: GatewaySpec | None, topology: Topology | None) -> tuple[str, ...]:
        """Worked out once for each topology: it takes a look at each of 100,000 forwards."""
        if spec is None or topology is None:
            return ()
        if self._faults is None or self._faults[0] is not spec or self._faults[1] is not topology:
            self._faults = spec, topology, faults(spec, topology)
        return self._faults[2]

    def reconcile(self, trigger: Trigger) -> Outcome:
        """Never raises an NviError. A wrong spec stops it only while there has been no good one."""
        kept = self._directory.state, self._compiler, self._reached  # freeing 100,000 forwards takes long: do it last
        loaded = False
        try:
            if trigger.reread or self._directory.state.good is None:
                loaded = self._load()
            outcome = self._reconcile(trigger)
        finally:
            if self._invalidation is not None:
                spec = self._compiler.spec
                self._invalidation.follow(spec is not None and spec.asks_for_flow_cache)
            del kept
            self._garbage.collect(loaded=loaded, whole=trigger.whole)
        if self._invalidation is not None:
            outcome = replace(outcome, notes=(*outcome.notes, *self._invalidation.notes))
        self._notes = outcome.notes
        if self._faults is not None and self._faults[1] is not outcome.plan.topology:
            self._faults = None  # with the 100,000 forwards that it holds
        state = self._directory.state
        outcome = replace(
            outcome,
            gateway=state.good.name if state.good else "",
            revision=self._directory.revision if state.good else None,
            reasons=trigger.reasons,
            changed_by=trigger.changed_by,
            errors=tuple(dict.fromkeys(error for error in (state.bad, *outcome.errors) if error)),
        )
        self._record(outcome)
        return outcome

    def _record(self, outcome: Outcome) -> None:
        if self._recording is None or self._judge is None or self._used is None:
            return
        recording = self._recording
        try:
            if outcome.failed:
                self._judge.stopped(outcome.errors[-1])
                recording.end(outcome, Standing.NONE)
            else:
                self._judge.reached(self._used, lambda standing: recording.end(outcome, standing))
        except NviError as error:  # the next reconcile tries again
            recording.say(error.message)

    def _load(self) -> bool:
        """Was a spec loaded as a whole?"""
        before = self._directory.state.good
        done = self._directory.load()
        good = self._directory.state.good
        if done.delta and good and self._accepted is before:  # forwards need no second precheck
            self._accepted, self._compiler = good, self._compiler.after(good.spec, done.delta)
            self._delta = good
        return done.read and not done.delta

    def _reconcile(self, trigger: Trigger) -> Outcome:
        started = time.monotonic()
        try:
            spec, numbers = self._in_force(self._directory.state.in_force())
            self._accept(spec)
            if trigger.whole:
                self._kernel.invalidate()
            self._kernel.health = self._prober.health
            if self._judge and self._used and (suspension := self._judge.suspended(self._used)):
                return self._only_look(suspension, spec, numbers)
            with self._kernel.using(numbers) as kernel:
                outcome = reconcile(
                    kernel, self._compiler, paused=trigger.paused, reached=self._reached, on_step=self._step
                )
                warnings = kernel.warnings
        except NviError as error:
            return replace(self._failed(error, trigger), seconds=time.monotonic() - started)
        seconds = time.monotonic() - started
        self._reached = outcome.plan.after
        followed = probed(spec.spec, outcome.plan.topology) if spec else {}
        self._prober.follow(followed)
        self._kernel.stay_ready(bool(followed))  # a failover waits neither for a process to start
        if followed:
            self._compiler.prepare()  # nor for a table to be worked out
        return replace(outcome, notes=(*outcome.notes, *warnings), seconds=seconds)

    def _only_look(self, suspension: Suspension, spec: LoadedSpec | None, numbers: Numbers) -> Outcome:
        """Changes are suspended. Raises NviError."""
        self._used = None  # nothing is tried
        with self._kernel.using(numbers) as kernel:
            plan = without_ignored(preview(kernel, self._compiler), spec.spec.drift if spec else None)
        left = f": {counted(len(plan.steps), 'change')} not made" if plan else ""
        note = f"suspended by {suspension.author}: {suspension.reason}{left}"
        seen = replace(NO_PLAN, topology=plan.topology)
        return Outcome(self._compiler.name, plan=seen, requested=False, notes=(note,))

    def _in_force(self, spec: LoadedSpec) -> tuple[LoadedSpec | None, Numbers]:
        """The spec to reconcile with, where the directory's is `spec`. Raises NviError."""
        if self._judge is None or self._recording is None:
            return spec, spec.spec.numbers
        self._used = used = self._judge.in_force(spec)
        self._recording.begin(used, delta=used.spec is self._delta and not self._judge.on_trial)
        return used.spec, used.spec.spec.numbers if used.spec else Numbers()

    def _step(self, change: Change) -> None:
        if self._recording is not None and self._judge is not None:
            self._judge.step(self._recording.step(change))

    def _accept(self, spec: LoadedSpec | None) -> None:
        """Raises ConflictError where another program writes the gateway's bits of the packet mark."""
        if spec is None:
            self._accepted, self._compiler = None, Compiler("", None)
            return
        if spec is self._accepted:
            return
        if not self._force:
            refuse_collisions(problems(take_survey(spec.spec, try_binding=False), spec.spec))
        lost = self._compiler.lost
        self._accepted, self._compiler = spec, Compiler(spec.name, spec.spec)
        self._compiler.lost = lost

    def _failed(self, error: NviError, trigger: Trigger) -> Outcome:
        plan = NO_PLAN
        used = self._used.spec if self._used else self._directory.state.good
        if self._accepted is not None and self._accepted is used:
            self._kernel.invalidate()
            if isinstance(error, NftCrashedError):
                try:
                    plan = self._heal_without_table(self._accepted, trigger)
                except NviError as other:
                    error = other
        return Outcome(plan=plan, requested=False, errors=(error,), failed=True, notes=self._notes)

    def _heal_without_table(self, spec: LoadedSpec, trigger: Trigger) -> Plan:
        """Put back what else is missing, while libnftables cannot list the table: rules, routes, device, settings.

        Only where spec and host are as they were when the table was last in sync, so that the table as it is fits
        the rest. Returns what was healed.
        """
        with self._kernel.using(spec.spec.numbers, assumed={NFT_TABLE.name}) as kernel:
            if preview(kernel, self._compiler).after != self._reached:
                return NO_PLAN
            plan = reconcile(kernel, self._compiler, paused=trigger.paused).plan
        self._kernel.invalidate()
        return plan


def run_daemon(
    path: Path | None,
    *,
    git: GitSource | None = None,
    signatures: SignaturesSpec | None = None,
    gateway: str | None,
    rescan_seconds: float,
    force: bool,
    kernel_lines: bool = False,
    hooks: Sequence[Hook] = (),
    metrics: Sequence[str] = (),
    confirm: float | None = None,
) -> int:
    """Run until SIGTERM or SIGINT; the dataplane stays in place. Returns the exit code. `confirm`: seconds within
    which each new spec is to be confirmed.

    The spec is in the directory `path`, or comes from `git`. Raises ConflictError if another one is running in this
    network namespace.
    """

    def say(text: str) -> None:
        print(text, flush=True)

    def note(text: str) -> None:
        history.add(Note(note=text))

    history = History()
    history.listeners.append(log_sink())
    checkouts = Checkouts(state_directory() / "git")
    path = path or checkouts.spec
    directory = SpecDirectory(path, gateway) if git is None else fetched_directory(checkouts, git.url.text, gateway)
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
        closing(Prober()) as prober,
        closing(Hooks(hooks, history)) as told,
        Revisions(state_directory()) as revisions,
        ExitStack() as stack,
    ):
        sweep()
        decisions, policy = DecisionsFile(state_directory()), Confirm(confirm) if confirm else None
        recording = Recording(revisions, path, note)
        judge = Judge(
            decisions,
            revisions,
            path,
            lock.changing,
            note,
            policy,
            needs=lambda: trial_of(checkouts) if git else None,
        )
        daemon = Daemon(
            directory, kernel, prober, force=force, invalidation=invalidation, recording=recording, judge=judge
        )
        judge.failing = daemon.failing_checks
        deadline = DeadlineStation(judge, lambda: loop.trigger(Reason.CONFIRM), time.monotonic)
        stations: list[Station] = [streams, prober, told, deadline]
        sync = None
        if git is not None:
            fetcher = Fetcher(
                git,
                os.uname().nodename,
                checkouts,
                history.add,
                lambda: loop.trigger(Reason.SOURCE),
                signatures=signatures,
            )
            stations.append(stack.enter_context(closing(fetcher)))
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
            emit=history.add,
            glance=daemon.glance,
            rescan_seconds=rescan_seconds,
            kernel_lines=kernel_lines,
            stations=stations,
        )
        prober.on_change = lambda: loop.trigger(Reason.HEALTH)
        where = os.path.abspath(path)
        answers = Answers(loop, history, where, daemon.look, prober.told, sync, decisions.read)
        with control(streams, history, answers), published(metrics, history, answers, stations):
            loop.run()
    return 0


@contextmanager
def control(streams: Streams, history: History, answers: Answers) -> Iterator[None]:
    """Within, the control socket is there. A gateway works without it."""

    def note(text: str) -> None:
        history.add(Note(note=text))

    try:
        place = ControlPlace(note)
    except NviError as error:
        note(f"{error.message}: nvictl events and status cannot ask this daemon")
        yield
        return
    trusted = frozenset({0, os.geteuid()})
    streams.listen(place.listener, ControlServer(streams, history, answers.reading, answers.changing, trusted))
    with closing(place):
        yield


@contextmanager
def published(targets: Sequence[str], history: History, answers: Answers, stations: list[Station]) -> Iterator[None]:
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

    metrics = Metrics(lambda: answers.status(events=0), history)
    with ExitStack() as stack:
        for target in targets:
            if target.startswith("/"):
                station: Station = stack.enter_context(
                    closing(Textfile(Path(target), metrics.text, lambda text: history.add(Note(note=text))))
                )
            else:
                station = streams = stack.enter_context(closing(Streams(most=MOST, for_root=0)))
                streams.listen(listener(target), MetricsPage(metrics.text))
            stations.append(station)
        yield
