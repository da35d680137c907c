"""`nvictl confirm`: keep the revision that waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nvi_operator.cli import options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context

if TYPE_CHECKING:
    from nvi_operator.history.store import History


def run(context: Context) -> int:
    from contextlib import closing

    from nvi_operator.rollout import waiter
    from nvi_operator.rollout.place import asked
    from nvi_operator.rollout.trial import confirm

    decisions = context.decisions()
    with closing(context.lock()) as lock, context.history() as history, lock.changing():
        pending = decisions.read().pending
        if pending is not None and lock.instance() is None:
            _refuse_unfinished(history, pending.revision)
        confirm(decisions, history, f"user {asked('').uid}", waiter.now())
    assert pending is not None
    context.wake_daemon()
    print(f"Confirmed: revision {pending.revision}.")
    return 0


def _refuse_unfinished(history: History, number: int) -> None:
    """ConflictError where the apply was killed: the gateway may be in between, and no daemon goes on with it."""
    from contextlib import suppress

    from nvi_operator.errors import ConflictError
    from nvi_operator.history.revision import RevisionResult
    from nvi_operator.history.store import HistoryError

    with suppress(HistoryError):
        found = history.revision(number) if number else None
        if found is not None and found.result is RevisionResult.BEGUN:
            raise ConflictError(
                f"revision {number}: its apply did not end: it cannot be confirmed",
                hint="nvictl abort returns to the confirmed one, as the end of its time does; then apply it again",
            )


COMMAND = Command(
    "confirm",
    "keep the revision that waits for confirmation, as after `apply --confirm`",
    (options.netns, options.wait),
    run,
)
