"""What a command works with: its arguments, the spec they name, the kernel, the gateway's lock."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from nvi_operator.cli.output import tell, warn

if TYPE_CHECKING:
    from nvi_operator.daemon.control.client import Client
    from nvi_operator.history.decisions import DecisionsFile
    from nvi_operator.history.revision import Content
    from nvi_operator.history.store import History
    from nvi_operator.language.load.loader import LoadedSpec
    from nvi_operator.language.model.gateway import GatewaySpec
    from nvi_operator.language.model.settings import Numbers
    from nvi_operator.language.operator.model import OperatorSpec
    from nvi_operator.plan.change import Plan
    from nvi_operator.plan.observation import Observation
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.rollout.attempt import Attempt
    from nvi_operator.rollout.lockout import LockOut
    from nvi_operator.store.lock import GatewayLock
    from nvi_operator.topology.facts import Facts
    from nvi_operator.topology.health import HealthFacts, Server


class Context:
    """One call of a command."""

    def __init__(self, arguments: Namespace) -> None:
        self.arguments = arguments
        self._loaded: LoadedSpec | None = None
        self._operator: OperatorSpec | None = None
        self._told_down: set[str | Server] = set()
        self.facts: Facts | None = None  # of the host that `dry_run` compared with
        self.machine = os.uname().nodename  # that the command is about

    def loaded(self) -> LoadedSpec:
        """What `load` returned last; it may have been read from a pipe."""
        return self._loaded or self.load()

    def load(self) -> LoadedSpec:
        """Raises SpecError."""
        from nvi_operator.view.progress import spinner

        with spinner(f"reading {self.arguments.spec}"):
            from nvi_operator.language.load.loader import load_directory

            spec, name = self.arguments.spec, self.arguments.gateway
            self._loaded = load_directory(spec, hostname=self.hostname(), gateway=name)
        return self._loaded

    def hostname(self) -> str:
        """The host that the spec is read for: as `nvictl run` does where the Operator document is beside it."""
        from nvi_operator.language.operator.host import host_beside

        beside = None if self.arguments.spec is None else host_beside(self.arguments.spec)
        return str(self.arguments.host or beside or self.machine)

    def compiler(self) -> tuple[Compiler, Numbers]:
        """The compiler of the spec; without a spec, of the removal of the gateway."""
        from nvi_operator.language.model.settings import Numbers
        from nvi_operator.reconcile.compiler import Compiler

        if self.arguments.spec is None:
            return Compiler("", None), Numbers()
        loaded = self.load()
        return Compiler(loaded.name, loaded.spec), loaded.spec.numbers

    def dry_run(self, *, drift: bool = False, lock_out: LockOut | None = None) -> tuple[str, Plan]:
        """The gateway's name, and what an apply would do; `drift`: without what the spec's drift policy ignores.
        What `lock_out` finds is a warning.
        """
        from nvi_operator.kernel.kernel import Kernel
        from nvi_operator.plan.left_alone import without_ignored
        from nvi_operator.reconcile.cycle import dry_run
        from nvi_operator.reconcile.flows import with_stranded
        from nvi_operator.view.progress import spinner

        compiler, numbers = self.compiler()
        health = self.health(compiler.spec)
        with spinner("comparing with the kernel"), Kernel(numbers, observes=True) as kernel:
            kernel.health = health
            plan = with_stranded(kernel, compiler, dry_run(kernel, compiler))
            if lock_out is not None:
                for packet in lock_out.packets(kernel, compiler, plan, sessions=True):
                    warn([f"lock-out: {packet}: apply refuses that without --force"])
            warn(kernel.warnings)
        self.facts = compiler.facts
        if drift and compiler.spec:
            plan = without_ignored(plan, compiler.spec.drift)
        self._tell_paused(plan)
        return compiler.name, plan

    def dry_run_against(self, saved: Observation) -> tuple[str, Plan]:
        """The same for a gateway as it was when that was taken. ConflictError where it is of other numbers."""
        from nvi_operator.reconcile.cycle import dry_run

        self.machine = saved.found.hostname
        compiler, numbers = self.compiler()
        saved.refuse_other_numbers(numbers)
        if compiler.flow_cache is not None and not saved.flow_cache:
            tell("flow cache: what speaks against one was not saved: use `nvictl show state DIR`, with such a spec")
        plan = dry_run(saved, compiler)
        self.facts = compiler.facts
        return compiler.name, plan

    def _tell_paused(self, plan: Plan) -> None:
        """Objects that differ, and that a running daemon leaves alone."""
        if not plan:
            return
        with self.daemon() or nullcontext() as daemon:
            paused = daemon.ask("paused")["paused"] if daemon else {}
        for name in sorted(plan.names & paused.keys()):
            tell(
                f"paused: {name}: nvictl run leaves it alone for {paused[name]:.0f} s: another process keeps "
                "changing it"
            )

    def health(self, spec: GatewaySpec | None) -> HealthFacts:
        """What the probes of a running daemon say. Where none runs, what was down when it ended is down still: an
        apply of something else moves no flow back to a dead uplink.
        """
        from nvi_operator.topology.health import NO_HEALTH, HealthFacts, ProbedState, Server

        if spec is None or not spec.has_probes:
            return NO_HEALTH
        with self.daemon() or nullcontext() as daemon:
            if daemon is None:
                return _recorded_health(spec, self._told_down)
            told = daemon.ask("health")

        def state(each: Mapping[str, Any]) -> ProbedState:
            return ProbedState(each["state"], each["since"], each["reason"])

        return HealthFacts(
            {name: state(each) for name, each in told.get("uplinks", {}).items()},
            {Server(each["forward"], each["server"]): state(each) for each in told.get("servers", ())},
        )

    def daemon(self) -> Client | None:
        """A connection to the `nvictl run` of this network namespace. Close it.

        CapabilityError where one runs, and this user may not ask it.
        """
        from nvi_operator.daemon.control.client import connect

        return connect()

    def tell_decision(self, outcome: str, text: str) -> None:
        """Into the audit log and the journal."""
        from contextlib import suppress

        from nvi_operator.history.store import HistoryError
        from nvi_operator.rollout.audit import tell_decision
        from nvi_operator.rollout.place import asked, state_directory

        gateway = ""
        with suppress(HistoryError), self.history() as history:
            gateway = next((found.gateway for found in history.revisions(1)), "")
        if problem := tell_decision(state_directory(), gateway, asked(self._command()), outcome, text):
            warn([problem])

    def wake_daemon(self) -> None:
        """It looks at what was decided, where one runs; otherwise whoever changes the gateway next does."""
        from contextlib import suppress

        from nvi_operator.errors import NviError

        with suppress(NviError), self.daemon() or nullcontext() as daemon:
            if daemon is not None:
                daemon.ask("reconcile")

    def person(self) -> str:
        """Who calls, as the login has it."""
        import pwd

        from nvi_operator.rollout.place import asked

        uid = asked("").uid
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return f"user {uid}"

    def operator(self) -> OperatorSpec | None:
        """The Operator document, where there is one. Raises NviError."""
        from nvi_operator.cli.document import document

        if self._operator is None:
            self._operator = document(self.arguments.config)
        return self._operator

    def lock_out(self) -> LockOut:
        """What the Operator document, where there is one, has to be reached. Raises NviError."""
        from nvi_operator.rollout.lockout import LockOut

        spec = self.operator()
        remote = spec.source.git.url if spec and spec.source.git else None
        return LockOut((spec.protect if spec else None) or (), remote, lambda text: warn([text]))

    def require_daemon(self) -> Client:
        """The daemon's client. NviError where no daemon runs."""
        from nvi_operator.errors import NviError

        if (daemon := self.daemon()) is None:
            raise NviError(
                "nvictl run: not running in this network namespace",
                hint="start it: systemctl start nvi-operator, or nvictl run DIR",
            )
        return daemon

    def history(self) -> History:
        """The records of this network namespace's gateway. Close it."""
        from nvi_operator.history.store import History
        from nvi_operator.rollout.place import state_directory

        return History(state_directory())

    def decisions(self, *, keeps_on: bool = False) -> DecisionsFile:
        """What is pending, held or suspended. `keeps_on`: a disk that fails keeps no command from its work."""
        from nvi_operator.history.decisions import DecisionsFile
        from nvi_operator.rollout.place import state_directory

        return DecisionsFile(state_directory(), keeps_on=keeps_on)

    def attempt(
        self, history: History, content: Content, *, of: int | None = None, action: str | None = None
    ) -> Attempt:
        """What this command tries: `content`, which is that of revision `of`."""
        import time

        from nvi_operator.history.revision import Revision
        from nvi_operator.rollout.attempt import Attempt
        from nvi_operator.rollout.place import asked

        action = action or self.arguments.command
        revision = Revision(0, time.time(), content.gateway, action, asked(self._command()), of=of)
        return Attempt(history, revision, content, lambda text: warn([text]))

    def _command(self) -> str:
        """The command line without its options."""
        arguments = self.arguments
        named = next((str(found) for name in ("spec", "revision") if (found := getattr(arguments, name, None))), None)
        return " ".join(["nvictl", arguments.command, *([named] if named else [])])

    def lock(self, *, alone: bool = False) -> GatewayLock:
        """The lock of this network namespace's gateway, for this command. Close it."""
        from nvi_operator.kernel.netns import cookie
        from nvi_operator.store.lock import GatewayLock

        return GatewayLock(
            cookie(),
            self._command(),
            wait=self.arguments.wait,
            alone=alone,
            say=lambda text: print(text, file=sys.stderr, flush=True),
        )


def _recorded_health(spec: GatewaySpec, told: set[str | Server]) -> HealthFacts:
    """What was down when `nvictl run` ended; each is told once, because nothing probes it now."""
    import time

    from nvi_operator.daemon.probes.record import HealthRecord
    from nvi_operator.events.moment import ago
    from nvi_operator.kernel.netns import cookie
    from nvi_operator.topology.health import HealthFacts, Server

    downs = {name: down.probed() for name, down in HealthRecord(cookie()).read(spec).items()}
    for name, down in downs.items():
        if name in told:
            continue  # `status --watch` looks each second
        told.add(name)
        what = f"server {name.server} of forward {name.forward}" if isinstance(name, Server) else f"uplink {name}"
        tell(
            f"{what}: down for {ago(time.time() - down.since)} ({down.reason}), as `nvictl run` found. It has ended: "
            "nothing probes it now, and it counts as down until `nvictl run` starts again, or `nvictl down`"
        )
    return HealthFacts.of(downs)


def warn_of_instance(lock: GatewayLock) -> None:
    from contextlib import suppress

    from nvi_operator.errors import CapabilityError

    with suppress(CapabilityError):  # without rights nothing is changed anyway
        if found := lock.instance():
            warn([f"{found} is running: it restores what its own spec says"])
