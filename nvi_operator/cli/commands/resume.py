"""`nvictl resume`: end a suspension."""

from __future__ import annotations

from nvi_operator.cli import options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context


def run(context: Context) -> int:
    from contextlib import closing
    from dataclasses import replace

    decisions = context.decisions()
    with closing(context.lock()) as lock, lock.changing():
        found = decisions.read()
        if found.suspension is not None:
            decisions.write(replace(found, suspension=None))
    if found.suspension is not None:
        context.tell_decision("resumed", found.suspension.reason)
    context.wake_daemon()
    print("Not suspended." if found.suspension is None else f"Resumed; it was suspended: {found.suspension.reason}.")
    return 0


COMMAND = Command("resume", "end what `nvictl suspend` began", (options.netns, options.wait), run)
