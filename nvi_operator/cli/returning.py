"""Return to the confirmed spec, as the one that was applied was not confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nvi_operator.cli.context import Context
from nvi_operator.cli.output import warn

if TYPE_CHECKING:
    from nvi_operator.history.decisions import DecisionsFile
    from nvi_operator.history.store import History
    from nvi_operator.store.lock import GatewayLock


def give_up(context: Context, lock: GatewayLock, history: History, decisions: DecisionsFile) -> None:
    """Raises NviError; the decision stays as it is then, for the next one who looks. Does nothing where another
    process did it meanwhile.
    """
    from nvi_operator.cli.once import reconcile_once
    from nvi_operator.events.revisions import way_back
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.rollout import waiter
    from nvi_operator.rollout.trial import compiler_of, gave_up

    with lock.changing():
        pending = decisions.read().pending
        if pending is None or pending.left(waiter.now()):
            return
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
    warn([f"revision {pending.revision}: {why}: {way_back(back.revision)}"])


def give_up_if_due(context: Context, lock: GatewayLock, history: History, decisions: DecisionsFile) -> None:
    """Before any other change. ConflictError while there is time left to confirm."""
    from nvi_operator.rollout import waiter
    from nvi_operator.rollout.trial import refuse_pending

    found = decisions.read()
    refuse_pending(found, waiter.now())
    if found.pending is not None:
        give_up_or_keep(context, lock, history, decisions)
    warn(decisions.warnings)


def give_up_or_keep(context: Context, lock: GatewayLock, history: History, decisions: DecisionsFile) -> None:
    """As `give_up`; but where this version cannot read what to return to, the revision stays."""
    from nvi_operator.rollout.content import UnreadableSpecError
    from nvi_operator.rollout.trial import keep

    with lock.changing():
        try:
            give_up(context, lock, history, decisions)
        except UnreadableSpecError as error:
            warn([keep(decisions, history, error)])
