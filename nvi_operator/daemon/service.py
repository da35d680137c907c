"""The shell around one reconcile of `nvictl run`. When one is due is decided in `loop.py`; `run.py` has the whole."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from nvi_operator.daemon.answers import GatewaySnapshot
from nvi_operator.daemon.garbage import Garbage
from nvi_operator.daemon.invalidation import Invalidation
from nvi_operator.daemon.judge import InForce, Judge
from nvi_operator.daemon.probes.checks import failing
from nvi_operator.daemon.probes.prober import Probed, Prober, probed
from nvi_operator.daemon.recording import Recording
from nvi_operator.daemon.trigger import Trigger
from nvi_operator.errors import LockOutError, NftCrashedError, NviError
from nvi_operator.events.event import GatewayEvent
from nvi_operator.history.decisions import Suspension
from nvi_operator.history.revision import Standing
from nvi_operator.kernel.cached import CachedKernel
from nvi_operator.kernel.inspect.survey import take_survey
from nvi_operator.kinds.nft_table import NFT_TABLE
from nvi_operator.language.load.loader import LoadedSpec
from nvi_operator.language.model.checks import Check, together
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.settings import Numbers
from nvi_operator.language.wording import counted
from nvi_operator.plan.change import NO_PLAN, Change, Plan
from nvi_operator.plan.left_alone import without_ignored
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import AnyKernel, dry_run, reconcile
from nvi_operator.reconcile.outcome import Outcome
from nvi_operator.reconcile.precheck import problems, refuse_collisions
from nvi_operator.rollout.lockout import LockOut
from nvi_operator.sources.directory import SpecDirectory
from nvi_operator.sources.revision import CheckedOutCommit
from nvi_operator.state.host import HostState
from nvi_operator.topology.faults import faults
from nvi_operator.topology.health import Server
from nvi_operator.topology.model import Topology


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
        force: bool,
        invalidation: Invalidation,
        recording: Recording,
        judge: Judge,
        lock_out: LockOut,
        checks: Mapping[str, Check],
    ) -> None:
        """`checks`: beside those of the spec."""
        self._lock_out = lock_out
        self._checks = checks
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
        self._probed: tuple[GatewaySpec, Topology | None, Mapping[str | Server, Probed]] | None = None
        self._garbage = Garbage()

    def glance(self) -> bool:
        """Did anything change that the kernel does not report to the loop? Takes microseconds."""
        if self._invalidation.take_blockers():
            self._kernel.forget_facts()
            return True
        return self._kernel.unreported_change()

    def look(self) -> GatewaySnapshot:
        """The gateway as it is now, against the spec in force. Changes nothing. Raises NviError."""
        spec = self._accepted.spec if self._accepted else None
        with self._kernel.using(spec.numbers if spec else Numbers()) as kernel:
            plan = without_ignored(dry_run(kernel, self._compiler), spec.drift if spec else None)
            counters = kernel.counters(plan.before)
        return GatewaySnapshot(self._compiler.name, plan, counters, self._faults_of(spec, plan.topology))

    def failing_checks(self) -> Mapping[str, str]:
        """The checks that do not work with the spec in force, and why. Waits for answers."""
        spec = self._compiler.spec
        checks = together(spec.checks, self._checks) if spec else {}
        return failing(checks, self._compiler.topology) if checks else {}

    def is_vacant(self) -> bool:
        """Is no gateway in the kernel? Raises NviError."""
        spec = self._directory.state.in_force().spec
        with self._kernel.using(spec.numbers) as kernel:
            return not dry_run(kernel, Compiler("", None))

    def _faults_of(self, spec: GatewaySpec | None, topology: Topology | None) -> tuple[str, ...]:
        """Worked out once for each topology: it takes a look at each of 100,000 forwards."""
        if spec is None or topology is None:
            return ()
        if self._faults is None or self._faults[0] is not spec or self._faults[1] is not topology:
            self._faults = spec, topology, faults(spec, topology)
        return self._faults[2]

    def _probed_of(self, spec: GatewaySpec, topology: Topology | None) -> Mapping[str | Server, Probed]:
        """Worked out once for each topology, as the faults are."""
        if self._probed is None or self._probed[0] is not spec or self._probed[1] is not topology:
            self._probed = spec, topology, probed(spec, topology)
        return self._probed[2]

    def reconcile(self, trigger: Trigger) -> Outcome:
        """Never raises an NviError. A wrong spec stops it only while there has been no good one."""
        kept = self._directory.state, self._compiler, self._reached  # freeing 100,000 forwards takes long: do it last
        loaded = False
        try:
            if trigger.reread or self._directory.state.good is None:
                loaded = self._load()
            outcome = self._reconcile(trigger)
        finally:
            spec = self._compiler.spec
            self._invalidation.follow(spec is not None and spec.asks_for_flow_cache)
            del kept
            self._garbage.collect(loaded=loaded, whole=trigger.whole)
        self._notes = (*outcome.notes, *self._invalidation.notes)
        if self._faults is not None and self._faults[1] is not outcome.plan.topology:
            self._faults = None  # with the 100,000 forwards that it holds
        state = self._directory.state
        outcome = replace(
            outcome,
            gateway=state.good.name if state.good else "",
            notes=self._notes,
            revision=self._revision(),
            reasons=trigger.reasons,
            changed_by=trigger.changed_by,
            errors=tuple(dict.fromkeys(error for error in (state.bad, *outcome.errors) if error)),
        )
        self._record(outcome)
        return outcome

    def _revision(self) -> CheckedOutCommit | None:
        """The revision of the spec in force."""
        if self._used is not None and self._used.action == "return":
            return CheckedOutCommit.of(self._used.origin) if self._used.origin else None
        return self._directory.revision if self._directory.state.good else None

    def named(self, event: GatewayEvent) -> GatewayEvent:
        """The event with the gateway and the revision that it is about."""
        name = self._used.content.gateway if self._used else ""
        return replace(event, gateway=name, revision=str(self._revision() or ""))

    def _record(self, outcome: Outcome) -> None:
        used, recording = self._used, self._recording
        if used is None:
            return
        try:
            if outcome.failed:
                self._judge.stopped(outcome.errors[-1])
                number = recording.end(outcome, Standing.NONE)
                if isinstance(outcome.errors[-1], LockOutError):
                    self._judge.hold(used, number, outcome.errors[-1].message)
            else:
                self._judge.reached(used, lambda standing: recording.end(outcome, standing))
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
            used = self._in_force(self._directory.state.in_force())
            spec, numbers = used.spec, used.spec.spec.numbers if used.spec else Numbers()
            self._accept(spec)
            if trigger.whole:
                self._kernel.invalidate()
            if spec is not None:
                self._prober.restore(spec.spec)
            self._kernel.health = self._prober.health
            if suspension := self._judge.suspended(used):
                return self._only_look(suspension, spec, numbers)
            with self._kernel.using(numbers) as kernel:
                outcome = reconcile(
                    kernel,
                    self._compiler,
                    paused=trigger.paused,
                    reached=self._reached,
                    on_step=self._step,
                    accept=partial(self._refuse_lock_out, kernel, used),
                )
                warnings = kernel.warnings
        except NviError as error:
            return replace(self._failed(error, trigger), seconds=time.monotonic() - started)
        seconds = time.monotonic() - started
        self._reached = outcome.plan.after
        followed = self._probed_of(spec.spec, outcome.plan.topology) if spec else {}
        self._prober.follow(followed)
        self._kernel.stay_ready(bool(followed))  # a failover waits neither for a process to start
        if followed:
            self._compiler.prepare()  # nor for a table to be worked out
        return replace(outcome, notes=(*outcome.notes, *warnings), seconds=seconds)

    def _refuse_lock_out(self, kernel: AnyKernel, used: InForce, plan: Plan) -> None:
        """Raises LockOutError where a spec that never held would cut the gateway off. An edit of forwards cannot."""
        if not self._force and used.spec is not self._delta and self._judge.is_new(used):
            self._lock_out.refuse(kernel, self._compiler, plan, sessions=False)

    def _only_look(self, suspension: Suspension, spec: LoadedSpec | None, numbers: Numbers) -> Outcome:
        """Changes are suspended. Raises NviError."""
        self._used = None  # nothing is tried
        with self._kernel.using(numbers) as kernel:
            plan = without_ignored(dry_run(kernel, self._compiler), spec.spec.drift if spec else None)
        left = f": {counted(len(plan.steps), 'change')} not made" if plan else ""
        note = f"suspended by {suspension.author}: {suspension.reason}{left}"
        seen = replace(NO_PLAN, topology=plan.topology)
        return Outcome(self._compiler.name, plan=seen, requested=False, notes=(note,))

    def _in_force(self, spec: LoadedSpec) -> InForce:
        """What to reconcile with, where the directory's spec is `spec`. Raises NviError."""
        self._used = used = self._judge.in_force(spec)
        self._recording.begin(used, delta=used.spec is self._delta and not self._judge.on_trial)
        return used

    def _step(self, change: Change) -> None:
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
            if dry_run(kernel, self._compiler).after != self._reached:
                return NO_PLAN
            plan = reconcile(kernel, self._compiler, paused=trigger.paused).plan
        self._kernel.invalidate()
        return plan
