"""The reconcile that `nvictl apply` or `nvictl down` makes, recorded. Its Outcome has what a daemon's has."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from nvi_operator.errors import NviError
from nvi_operator.reconcile.cycle import reconcile
from nvi_operator.reconcile.outcome import Outcome, Reason

if TYPE_CHECKING:
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.reconcile.cycle import AnyKernel
    from nvi_operator.rollout.attempt import Attempt


def reconcile_once(kernel: AnyKernel, compiler: Compiler, attempt: Attempt | None = None) -> Outcome:
    """Never raises an NviError: what stopped it is in `errors`. `seconds` includes the wait for the lock."""
    started = time.monotonic()
    try:
        with kernel.exclusive():
            outcome = _reconcile(kernel, compiler, attempt)
    except NviError as error:
        outcome = Outcome(compiler.name, errors=(error,), failed=True, reasons=frozenset({Reason.COMMAND}))
    return replace(outcome, seconds=time.monotonic() - started)


def _reconcile(kernel: AnyKernel, compiler: Compiler, attempt: Attempt | None) -> Outcome:
    try:
        outcome = reconcile(kernel, compiler, on_step=attempt.step) if attempt else reconcile(kernel, compiler)
    except NviError as error:
        if attempt:
            attempt.stopped(error)
        raise
    outcome = replace(outcome, reasons=frozenset({Reason.COMMAND}))
    if attempt:
        attempt.done(outcome)
    return outcome
