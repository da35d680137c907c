"""`nvictl run`: what a pass of the loop does, and what it says about it.

The spec is read anew when it may have changed. One that is wrong is reported, loudly, and the last good
one stays in force: a typing error must never take a gateway down.
"""

from __future__ import annotations

import gc
import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from nvi_operator.daemon.loop import Loop
from nvi_operator.daemon.trigger import PassResult, Reason, Wake
from nvi_operator.errors import NftCrashedError, NviError, SpecError
from nvi_operator.kernel.host import HostKernel
from nvi_operator.kernel.memory import Memory
from nvi_operator.kernel.netlink.events import KernelEvents
from nvi_operator.kernel.netns import cookie
from nvi_operator.language.fast.reload import reload_file
from nvi_operator.language.load.loader import LoadedSpec, load_directory
from nvi_operator.plan.change import Plan
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import preview, reconcile
from nvi_operator.reconcile.precheck import problems, refuse_collisions
from nvi_operator.ruleset.table import TABLE
from nvi_operator.sources.fingerprint import Fingerprint, Revision, fingerprint, revision
from nvi_operator.state.host import HostState
from nvi_operator.store.lock import GatewayLock
from nvi_operator.view.drift import drift_lines
from nvi_operator.view.plan import done, plan_lines

LITTER = 1_000  # objects made and not freed by a pass, from which on it is worth a collection (5 ms)
FEW = 10  # lines of the first pass; more of them are summed up, or each boot would log the whole gateway
SHOWN = 40  # lines of a change that go into the log; `nvictl plan` would have shown all
LOCK_SECONDS = 10.0  # that a pass waits for another process's change; then it is tried again later

_LOOK_ANEW = {Reason.TIMER, Reason.OVERFLOW, Reason.RETRY, Reason.SIGNAL}

Say = Callable[[str], None]


class Daemon:
    """Remembers the last good spec. Of the kernel a pass reads what changed since the last, as far as the kernel
    tells that (`memory`), and now and then everything all the same.
    """

    def __init__(
        self, directory: Path, gateway: str | None, memory: Memory, say: Say, *, force: bool = False
    ) -> None:
        self._directory = directory
        self._gateway = gateway
        self._say = say
        self._memory = memory
        self._force = force  # although somebody else uses our bits of the mark
        self._read: Fingerprint | None = None  # of what was read last, good or bad
        self._good: LoadedSpec | None = None
        self._desired: HostState | None = None  # what the last pass wanted
        self._revision: Revision | None = None
        self._reread = True  # since the revision was asked for
        self._looked: LoadedSpec | None = None  # the spec that was last checked against foreign rules
        self._wanted = Compiler("", None)  # the gateway of that spec
        self._bad: SpecError | None = None
        self._notes: tuple[str, ...] = ()
        self._grown = False  # by a spec, in the pass under way
        self._outgrown = False  # a spec was, since the last whole collection: parts of it may be frozen garbage

    def pass_(self, wake: Wake) -> PassResult:
        """One pass. A wrong spec stops it only while there has never been a good one."""
        kept = self._good, self._wanted, self._desired  # to free 100,000 forwards takes long: the kernel comes first
        try:
            return self._pass(wake)
        except NviError as error:
            wrong = (self._bad,) if self._bad not in (None, error) else ()
            return PassResult(errors=(*wrong, error), failed=True)
        finally:
            del kept
            self._memory.rest()
            self._collect_garbage(wake)

    def _pass(self, wake: Wake) -> PassResult:
        if wake.reread or self._good is None:
            self._load()
        loaded = self._good
        if loaded is None:
            assert self._bad is not None
            raise self._bad
        if loaded is not self._looked:
            if not self._force:
                refuse_collisions(problems(loaded.spec))
            self._looked, self._wanted = loaded, Compiler(loaded.name, loaded.spec)
        started = time.monotonic()
        if wake.reasons & _LOOK_ANEW:
            self._memory.forget()
        try:
            with HostKernel(loaded.spec.numbers, self._memory) as kernel:
                done = reconcile(kernel, self._wanted, held=wake.held)
                warnings = kernel.warnings
        except NviError as error:
            self._memory.forget()
            if isinstance(error, NftCrashedError):
                self._heal_without_table(loaded, wake)
            raise
        # Only what the spec and the facts did not ask for: a new lease is no drift.
        drifted = self._desired == done.after
        self._desired = done.after
        names = frozenset(str(change.ref) for change in done.steps)
        notes = (*(done.topology.notes if done.topology else ()), *warnings)
        for note in notes:
            if note not in self._notes:
                self._say(f"{loaded.name}: note: {note}")
        self._notes = notes
        if done:
            self._report(loaded, done, wake, drifted=drifted, seconds=time.monotonic() - started)
        elif not drifted:
            self._say(f"{self._name(loaded)}: nothing to change: in sync")
        return PassResult(
            changed=names,
            healed=names if drifted else frozenset(),
            errors=(self._bad,) if self._bad else (),
            status=f"{self._name(loaded)}: in sync" + (", and a newer spec is wrong" if self._bad else ""),
        )

    def _heal_without_table(self, loaded: LoadedSpec, wake: Wake) -> None:
        """Put back what else is missing, while libnftables cannot list our table: rules, routes, device, settings.

        Only if the gateway is meant to be what it was, so that the table, as it is, goes with the rest.
        """
        with HostKernel(loaded.spec.numbers, self._memory, assume_table=True) as kernel:
            if preview(kernel, self._wanted).after != self._desired:
                return
            done = reconcile(kernel, self._wanted, held=wake.held)
        self._memory.forget()
        if done:
            lines = [f"{sign} {line}".rstrip() for sign, line in drift_lines(done)][:SHOWN]
            self._say("\n".join([f"{self._name(loaded)}: drift beside the nft table", *lines, "healed"]))

    def _load(self) -> None:
        self._reread = True  # a commit need not touch a file
        seen, before = fingerprint(self._directory), self._read
        if before is not None and before.same(seen):
            return
        self._read = seen
        if before is not None and self._load_edit(before.only_change(seen)):
            return
        self._grown = True
        try:
            self._good = load_directory(self._directory, hostname=socket.gethostname(), gateway=self._gateway)
            if self._bad is not None:
                self._say(f"{self._name(self._good)}: the spec is right again")
            self._bad = None
        except SpecError as error:
            self._bad = error
            if self._good is not None:
                self._say(f"{self._name(self._good)}: the new spec is wrong; the last good one stays in force")

    def _collect_garbage(self, wake: Wake) -> None:
        """A command collects none by itself, and both a load and pyroute2 leave cycles.

        What a spec grew into is frozen, or it would be searched each time: for a second, of 100,000 forwards. It is
        frozen after a collection, because frozen garbage is never collected. What replaced specs leave among the
        frozen objects is collected at the timer.
        """
        whole = bool(wake.reasons & _LOOK_ANEW) and self._outgrown
        if whole:
            gc.unfreeze()
        if self._grown or wake.reasons & _LOOK_ANEW or gc.get_count()[0] > LITTER:
            gc.collect()
        if self._grown or whole:
            gc.freeze()
        self._outgrown = self._grown or (self._outgrown and not whole)
        self._grown = False

    def _load_edit(self, file: str | None) -> bool:
        """Was it an edit of a few forwards in one file? Then nothing else is read, nor worked out."""
        good = self._good
        if file is None or good is None or self._bad is not None or self._looked is not good:
            return False
        found = reload_file(good, file, self._directory)
        if found is None:
            return False
        self._good, edit = found
        self._looked, self._wanted = self._good, self._wanted.after(self._good.spec, edit)
        return True

    def _name(self, loaded: LoadedSpec) -> str:
        if self._reread:  # not before it is needed: git takes longer than a pass
            self._revision, self._reread = revision(self._directory), False
        return f"{loaded.name} at {self._revision}" if self._revision else loaded.name

    def _report(self, loaded: LoadedSpec, plan: Plan, wake: Wake, *, drifted: bool, seconds: float) -> None:
        lines = [f"{sign} {line}".rstrip() for sign, line in (drift_lines(plan) if drifted else plan_lines(plan))]
        if Reason.START in wake.reasons and len(lines) > FEW:
            kinds = Counter(change.ref.kind for change in plan.steps)
            lines = [", ".join(f"{kind}: {count}" for kind, count in kinds.items())]
        elif len(lines) > SHOWN:
            lines = [*lines[:SHOWN], f"  ... and {len(lines) - SHOWN} more lines"]
        if drifted:
            who = f" by {', '.join(wake.changed_by)}" if wake.changed_by else ""
            head, end = f"drift{who}", f"healed in {seconds * 1000:.0f} ms: in sync"
        else:
            head, end = "changes", f"applied and verified in {seconds * 1000:.0f} ms: {done(plan)}: in sync"
        self._say("\n".join([f"{self._name(loaded)}: {head}", *lines, f"{loaded.name}: {end}"]))


def run_daemon(directory: Path, *, gateway: str | None, rescan_seconds: float, force: bool) -> int:
    """Run until SIGTERM or SIGINT; the dataplane stays in place. Returns the exit code.

    Raises ConflictError if another one is running in this network namespace.
    """

    def say(text: str) -> None:
        print(text, flush=True)

    name = f"nvictl run {os.path.abspath(directory)}"
    lock = GatewayLock(cookie(), name, wait=LOCK_SECONDS, say=say)
    with closing(lock), lock.running(), KernelEvents([TABLE]) as events, Memory(events, lock) as memory:
        daemon = Daemon(directory, gateway, memory, say, force=force)
        Loop(
            daemon.pass_,
            directory=directory,
            events=events,
            report=say,
            glance=memory.unreported_change,
            rescan_seconds=rescan_seconds,
        ).run()
    return 0
