"""Return to the confirmed spec, as the one that was applied was not confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nvi_operator.cli.context import Context
from nvi_operator.cli.output import warn

if TYPE_CHECKING:
    from nvi_operator.history.decisions import DecisionsFile
    from nvi_operator.history.store import History
    from nvi_operator.plan.change import Plan
    from nvi_operator.store.lock import GatewayLock


def give_up(context: Context, lock: GatewayLock, history: History, decisions: DecisionsFile) -> Plan:
    """What was done. Raises NviError; the decision stays as it is then, for the next one who looks."""
    from nvi_operator.cli.once import reconcile_once
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.rollout import waiter
    from nvi_operator.rollout.trial import compiler_of, gave_up

    with lock.changing():
        pending = decisions.read().pending
        assert pending is not None
        back = pending.back
        compiler, numbers = compiler_of(back)
        health = context.health(compiler.spec)
        with Kernel(numbers, lock=lock) as kernel:
            kernel.health = health
            attempt = context.attempt(history, back.content, of=back.revision or None, action="return")
            outcome = reconcile_once(kernel, compiler, attempt)
            outcome.raise_failure()
            warn(kernel.warnings)
        why = gave_up(decisions, history, waiter.now())
    warn([f"revision {pending.revision}: {why}: returned to {_name(back.revision)}"])
    return outcome.plan


def _name(revision: int) -> str:
    return f"revision {revision}" if revision else "no gateway, as before"


def give_up_if_due(context: Context, lock: GatewayLock, history: History, decisions: DecisionsFile) -> None:
    """Before any other change. ConflictError while there is time left to confirm."""
    from nvi_operator.rollout import waiter
    from nvi_operator.rollout.content import UnreadableSpecError
    from nvi_operator.rollout.trial import keep, refuse_pending

    found = decisions.read()
    refuse_pending(found, waiter.now())
    if found.pending is not None:
        try:
            give_up(context, lock, history, decisions)
        except UnreadableSpecError as error:
            with lock.changing():
                warn([keep(decisions, history, error)])
    warn(decisions.warnings)
