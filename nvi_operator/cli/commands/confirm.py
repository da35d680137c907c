"""`nvictl confirm`: keep the revision that waits for it."""

from __future__ import annotations

from nvi_operator.cli import options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context


def run(context: Context) -> int:
    from contextlib import closing

    from nvi_operator.rollout import waiter
    from nvi_operator.rollout.place import asked
    from nvi_operator.rollout.trial import confirm

    decisions = context.decisions()
    with closing(context.lock()) as lock, context.history() as history, lock.changing():
        pending = decisions.read().pending
        confirm(decisions, history, f"user {asked('').uid}", waiter.now())
    assert pending is not None
    context.wake_daemon()
    print(f"Confirmed: revision {pending.revision}.")
    return 0


COMMAND = Command(
    "confirm",
    "keep the revision that `apply --confirm` applied, or nvictl run by its policy",
    (options.netns, options.wait),
    run,
)
