"""`nvictl abort`: return to the confirmed revision at once."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from nvi_operator.cli import options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context

if TYPE_CHECKING:
    from collections.abc import Callable

    from nvi_operator.history.decisions import DecisionsFile, PendingRevision
    from nvi_operator.history.store import History
    from nvi_operator.store.lock import GatewayLock

_DAEMON = 15.0  # seconds for a running daemon to do it
_AGAIN = 5.0  # seconds until the next attempt of a waiter


def run(context: Context) -> int:
    from nvi_operator.cli.returning import give_up
    from nvi_operator.errors import ConflictError

    decisions = context.decisions()
    if context.arguments.when_due:
        _wait_and_return(context, decisions)
        return 0
    with closing(context.lock()) as lock, lock.changing():
        pending = _given_up(decisions)
    if pending is None:
        raise ConflictError("confirmation: no revision is waiting for one: there is nothing to abort")
    _return(context, decisions, pending, give_up)
    print(f"Aborted: revision {pending.revision}.")
    return 0


def _given_up(decisions: DecisionsFile) -> PendingRevision | None:
    """From now on whoever looks returns."""
    from dataclasses import replace

    from nvi_operator.rollout.place import asked

    found = decisions.read()
    if found.pending is not None:
        pending = replace(found.pending, given_up=f"aborted by user {asked('').uid}")
        decisions.write(replace(found, pending=pending))
    return found.pending


def _wait_and_return(context: Context, decisions: DecisionsFile) -> None:
    """Whatever happens, until no revision is pending: no other process may be left to do it."""
    from nvi_operator.cli.returning import give_up_or_keep
    from nvi_operator.errors import NviError
    from nvi_operator.rollout import waiter

    while True:
        try:
            if not waiter.wait(decisions):
                return
            if (pending := decisions.read().pending) is not None:
                _return(context, decisions, pending, give_up_or_keep)
        except NviError as error:
            print(f"nvictl: {error}", flush=True)
            time.sleep(_AGAIN)


def _return(
    context: Context,
    decisions: DecisionsFile,
    pending: PendingRevision,
    give_up: Callable[[Context, GatewayLock, History, DecisionsFile], None],
) -> None:
    """Return by the daemon where one runs; by this process where none does, or the daemon does not."""
    from nvi_operator.errors import NviError

    with suppress(NviError):
        daemon = context.daemon()
        if daemon is not None:
            with daemon:
                daemon.ask("reconcile")
            deadline = time.monotonic() + _DAEMON
            while _is_pending(decisions, pending) and time.monotonic() < deadline:
                time.sleep(0.05)
    with closing(context.lock()) as lock, context.history() as history:
        give_up(context, lock, history, decisions)


def _is_pending(decisions: DecisionsFile, pending: PendingRevision) -> bool:
    found = decisions.read().pending
    return found is not None and found.revision == pending.revision


def _when_due(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--when-due",
        action="store_true",
        help="wait until the time to confirm is over; do nothing if it is confirmed (`apply --confirm` starts this)",
    )


COMMAND = Command(
    "abort",
    "return to the confirmed revision now, instead of when the time to confirm is over",
    (_when_due, options.netns, options.wait),
    run,
)
