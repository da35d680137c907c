"""The trial of a spec that is applied by hand: `nvictl confirm` or its checks confirm it."""

from __future__ import annotations

from nvi_operator.cli.context import Context
from nvi_operator.cli.output import tell
from nvi_operator.errors import ConflictError
from nvi_operator.history.decisions import DecisionsFile, ReturnTarget
from nvi_operator.history.revision import Content
from nvi_operator.history.store import History
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.language.model.checks import together
from nvi_operator.language.model.settings import Numbers
from nvi_operator.language.wording import counted
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import dry_run
from nvi_operator.rollout import waiter
from nvi_operator.rollout.content import NO_GATEWAY
from nvi_operator.rollout.trial import BY_CHECKS, Confirm, Trial, compiler_of, confirm, last_confirmed
from nvi_operator.store.lock import GatewayLock


def new_trial(
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
    from nvi_operator.daemon.probes.checks import failing

    confirm = Confirm(asked) if asked else BY_CHECKS
    return Trial(decisions, confirm, content, back, failing=lambda: failing(checks, compiler.topology))


def _target(lock: GatewayLock, history: History, content: Content) -> ReturnTarget:
    """What to return to. ConflictError."""
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
    compiler, numbers = compiler_of(back)
    with Kernel(numbers, lock=lock, observes=True) as kernel:
        differ = len(dry_run(kernel, compiler).steps)
    if differ:
        what = f"the gateway is not as revision {back.revision} says ({counted(differ, 'object')})"
        tell(f"confirmation: {what}; an unconfirmed change returns to what the revision says")


def judge_trial(trial: Trial, decisions: DecisionsFile, history: History) -> str:
    """Which check failed, and why; empty if none did."""
    why = trial.judge()
    for text in trial.unproven:
        tell(text)
    if not why and trial.pending is not None and trial.pending.by == "checks":
        confirm(decisions, history, "checks", waiter.now())
    return why
