"""One reconcile by hand: what `apply` and `rollback` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nvi_operator.cli import options
from nvi_operator.cli.asking import ask_about_flows
from nvi_operator.cli.context import Context, warn_of_instance
from nvi_operator.cli.document import config
from nvi_operator.cli.output import note, show_plan, tell, warn
from nvi_operator.cli.returning import give_up, give_up_if_due

if TYPE_CHECKING:
    from nvi_operator.history.decisions import DecisionsFile, PendingRevision, ReturnTarget
    from nvi_operator.history.revision import Content
    from nvi_operator.history.store import History
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.language.load.loader import LoadedSpec
    from nvi_operator.language.model.gateway import GatewaySpec
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.rollout.lockout import LockOut
    from nvi_operator.rollout.saved_plan import SavedPlan
    from nvi_operator.rollout.trial import Trial
    from nvi_operator.store.lock import GatewayLock

OPTIONS = (
    options.netns,
    options.output,
    options.changes,
    options.quiet,
    options.yes,
    options.force,
    options.confirm,
    options.wait,
    config,
)


def run(
    context: Context,
    loaded: LoadedSpec,
    content: Content,
    *,
    of: int | None = None,
    saved: SavedPlan | None = None,
) -> int:
    """`content` is what `loaded` was made of; `of` the revision that it is from. `saved`: its steps, or none."""
    import time
    from contextlib import closing
    from dataclasses import replace

    from nvi_operator.cli.once import Around, reconcile_once
    from nvi_operator.errors import NviError
    from nvi_operator.history.decisions import Held, ReturnTarget
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.rollout import waiter
    from nvi_operator.rollout.trial import refuse_pending, refuse_suspended
    from nvi_operator.view.plan import applied
    from nvi_operator.view.progress import spinner

    arguments = context.arguments
    decisions, lock_out = context.decisions(keeps_on=True), context.lock_out()
    with closing(context.lock()) as lock, context.history() as history:
        if of is None:
            warn_of_instance(lock)
        give_up_if_due(context, lock, history, decisions)
        compiler = Compiler(loaded.name, loaded.spec)
        trial = _trial(context, lock, history, decisions, content, compiler)
        found, beside = decisions.read(), of is not None and lock.instance() is not None

        def begin() -> None:
            refuse_pending(decisions.read(), waiter.now())
            refuse_suspended(decisions.read(), time.time())
            if not arguments.force:
                _refuse_lock_out(lock_out, kernel, compiler)
            if beside:  # the daemon is told before it sees what changes
                held = Held(0, "", ReturnTarget(of or 0, content), f"rolled back to revision {of}")
                decisions.write(replace(found, held=held))

        bad: list[str] = []

        def finish() -> None:
            if trial is not None:
                bad.extend(filter(None, [_judge(trial, decisions, history)]))
            if not beside:
                _settle(decisions, trial)

        around = Around(begin, trial=trial, done=finish)
        if saved is not None:
            around = replace(around, accept=saved.refuse_other_plan)
        attempt = context.attempt(history, content, of=of)
        try:
            _run_prechecks(loaded.spec, force=arguments.force)
        except NviError as error:
            attempt.stopped(error)
            raise
        health = context.health(loaded.spec)
        with spinner("applying and verifying"), Kernel(loaded.spec.numbers, lock=lock) as kernel:
            kernel.health = health
            ask_about_flows(arguments, kernel, compiler)
            outcome = reconcile_once(kernel, compiler, attempt, around)
            if outcome.failed and beside:
                decisions.write(found)
            outcome.raise_failure()
            warn(kernel.warnings)
        if bad:
            give_up(context, lock, history, decisions)
            raise NviError(f"{loaded.name}: {bad[0]}: the change was given up")
    if arguments.output == "json" or not arguments.quiet:
        note(outcome.plan)
        show_plan(arguments, loaded.name, outcome.plan, applied)
    if trial is not None and trial.pending is not None and arguments.confirm:
        tell(f"confirm within {arguments.confirm:g} s: nvictl confirm; otherwise: {_back(trial.pending)}")
    return 0


def _trial(
    context: Context,
    lock: GatewayLock,
    history: History,
    decisions: DecisionsFile,
    content: Content,
    compiler: Compiler,
) -> Trial | None:
    """None where the spec needs no confirmation: not by hand, and not by checks.

    ConflictError where one was asked for, and there is nothing to return to, or a daemon would not keep to it.
    """
    from nvi_operator.daemon.probes.checks import failing
    from nvi_operator.errors import ConflictError
    from nvi_operator.language.model.checks import together
    from nvi_operator.rollout.trial import BY_CHECKS, Confirm, Trial

    assert compiler.spec is not None
    asked, document = context.arguments.confirm, context.operator()
    checks = together(compiler.spec.checks, document.checks if document else {})
    if not asked and not checks:
        return None
    try:
        back = _target(lock, history, content)
    except ConflictError as error:
        if asked:
            raise
        tell(f"checks: not asked: {error.message}")
        return None
    if back.revision and decisions.read().pending is None:
        _tell_of_difference(lock, back)
    confirm = Confirm(asked) if asked else BY_CHECKS
    return Trial(decisions, confirm, content, back, failing=lambda: failing(checks, compiler.topology))


def _target(lock: GatewayLock, history: History, content: Content) -> ReturnTarget:
    """What to return to. ConflictError."""
    from nvi_operator.errors import ConflictError
    from nvi_operator.history.decisions import ReturnTarget
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.language.model.settings import Numbers
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.reconcile.cycle import dry_run
    from nvi_operator.rollout.content import NO_GATEWAY
    from nvi_operator.rollout.trial import last_confirmed

    if (found := lock.instance()) is not None:
        raise ConflictError(
            f"confirmation: {found} is running: it applies what its own source says",
            hint="nvictl run --confirm TIME asks for confirmation of each new spec",
        )
    back = last_confirmed(history)
    if back is not None:
        return back
    with Kernel(Numbers(), lock=lock, observes=True) as kernel:
        stands = bool(dry_run(kernel, Compiler(content.gateway, None)))
    if stands:
        raise ConflictError(
            "confirmation: the gateway that stands is in no history: there is nothing to return to",
            hint="apply its spec without --confirm first, which confirms it",
        )
    return ReturnTarget(0, NO_GATEWAY)


def _tell_of_difference(lock: GatewayLock, back: ReturnTarget) -> None:
    """The gateway may be otherwise than the record says: after an apply that a full disk could not record, for one.

    NviError where this version cannot read the recorded spec: what could not be returned to is no way back.
    """
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.language.wording import counted
    from nvi_operator.reconcile.cycle import dry_run
    from nvi_operator.rollout.trial import compiler_of

    compiler, numbers = compiler_of(back)
    with Kernel(numbers, lock=lock, observes=True) as kernel:
        differ = len(dry_run(kernel, compiler).steps)
    if differ:
        what = f"the gateway is not as revision {back.revision} says ({counted(differ, 'object')})"
        tell(f"confirmation: {what}; an unconfirmed change returns to what the revision says")


def _judge(trial: Trial, decisions: DecisionsFile, history: History) -> str:
    """Which check failed, and why; empty if none did."""
    from nvi_operator.rollout import waiter
    from nvi_operator.rollout.trial import confirm

    why = trial.judge()
    for text in trial.unproven:
        tell(text)
    if not why and trial.pending is not None and trial.pending.by == "checks":
        confirm(decisions, history, "checks", waiter.now())
    return why


def _refuse_lock_out(lock_out: LockOut, kernel: Kernel, compiler: Compiler) -> None:
    """Raises LockOutError."""
    from nvi_operator.errors import LockOutError
    from nvi_operator.reconcile.cycle import dry_run
    from nvi_operator.rollout.lockout import HINT

    if packets := lock_out.packets(kernel, compiler, dry_run(kernel, compiler), sessions=True):
        raise LockOutError(f"lock-out: {packets[0]}", hint=HINT)


def _settle(decisions: DecisionsFile, trial: Trial | None) -> None:
    """Whatever was held or pending, this spec is in force now."""
    found = decisions.read()
    if (found.pending or found.held) and not (trial and trial.pending):
        decisions.write(found.settled())


def _back(pending: PendingRevision) -> str:
    return f"back to revision {pending.back.revision}" if pending.back.revision else "no gateway, as before"


def _run_prechecks(spec: GatewaySpec, *, force: bool) -> None:
    """Warn of what `doctor` calls a problem. Raises ConflictError where another program uses the mark bits."""
    from nvi_operator.kernel.inspect.survey import take_survey
    from nvi_operator.reconcile.precheck import problems, refuse_collisions

    found = problems(take_survey(spec, try_binding=False), spec)
    if not force:
        refuse_collisions(found)
    warn(f"{finding.topic}: {finding.what} (see nvictl doctor)" for finding in found)
