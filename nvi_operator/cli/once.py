"""The reconcile that `nvictl apply` or `nvictl down` makes. Its Outcome has what a daemon's has."""

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


def reconcile_once(kernel: AnyKernel, compiler: Compiler) -> Outcome:
    """Never raises an NviError: what stopped it is in `errors`. `seconds` includes the wait for the lock."""
    started = time.monotonic()
    try:
        outcome = reconcile(kernel, compiler)
    except NviError as error:
        outcome = Outcome(compiler.name, errors=(error,), failed=True)
    return replace(outcome, reasons=frozenset({Reason.COMMAND}), seconds=time.monotonic() - started)
