"""The reconcile that `nvictl apply` or `nvictl down` makes, recorded. Its Outcome has what a daemon's has."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError
from nvi_operator.history.revision import Standing
from nvi_operator.reconcile.cycle import reconcile
from nvi_operator.reconcile.outcome import Outcome, Reason

if TYPE_CHECKING:
    from nvi_operator.plan.change import Change
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.reconcile.cycle import Accept, AnyKernel
    from nvi_operator.rollout.attempt import Attempt
    from nvi_operator.rollout.trial import Trial


@dataclass(frozen=True)
class Around:
    """What else happens under the lock: `before` and `accept`, of the plan, may refuse; `failed` comes where the
    reconcile failed, and `done` before the outcome is reported.
    """

    before: Callable[[], None] = lambda: None
    accept: Accept = lambda plan: None
    trial: Trial | None = None
    failed: Callable[[], None] = lambda: None
    done: Callable[[], None] = lambda: None


def reconcile_once(
    kernel: AnyKernel, compiler: Compiler, attempt: Attempt | None = None, around: Around | None = None
) -> Outcome:
    """Never raises an NviError: what stopped it is in `errors`. `seconds` includes the wait for the lock."""
    started = time.monotonic()
    around = around or Around()
    try:
        with kernel.exclusive():
            around.before()
            outcome = _reconcile(kernel, compiler, attempt, around)
            around.done()
    except NviError as error:
        outcome = Outcome(compiler.name, errors=(error,), failed=True, reasons=frozenset({Reason.COMMAND}))
    return replace(outcome, seconds=time.monotonic() - started)


def _reconcile(kernel: AnyKernel, compiler: Compiler, attempt: Attempt | None, around: Around) -> Outcome:
    trial = around.trial

    def step(change: Change) -> None:
        if attempt:
            attempt.step(change)
        if trial:
            trial.step(attempt.revision.number if attempt else 0)

    try:
        outcome = reconcile(kernel, compiler, on_step=step, accept=around.accept)
    except NviError as error:
        if trial:
            trial.failed(error)
        if attempt:
            attempt.stopped(error)
        around.failed()
        raise
    outcome = replace(outcome, reasons=frozenset({Reason.COMMAND}))
    standing = Standing.PENDING if trial and trial.pending else Standing.CONFIRMED
    number = attempt.done(outcome, standing=standing).number if attempt else 0
    if trial:
        trial.done(number)
    return outcome
