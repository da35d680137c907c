"""`nvictl suspend`: look and report, and change nothing."""

from __future__ import annotations

from argparse import ArgumentParser

from nvi_operator.cli import options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context


def run(context: Context) -> int:
    import time
    from contextlib import closing
    from dataclasses import replace

    from nvi_operator.history.decisions import Moment, Suspension
    from nvi_operator.rollout import waiter

    arguments, now = context.arguments, time.time()
    until = now + arguments.time if arguments.time else None
    clock = waiter.now()
    end = Moment(clock.boot, clock.seconds + arguments.time) if arguments.time else None
    suspension = Suspension(arguments.reason, context.person(), now, until, end)
    decisions = context.decisions()
    with closing(context.lock()) as lock, lock.changing():
        decisions.write(replace(decisions.read(), suspension=suspension))
    context.tell_decision("suspended", arguments.reason)
    context.wake_daemon()
    print(f"Suspended: {arguments.reason}.")
    return 0


def _reason(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--reason",
        metavar="TEXT",
        type=options.non_empty,
        required=True,
        help="why: status and log tell it",
    )


def _for(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--for", dest="time", metavar="TIME", type=options.duration, help="end by itself after this time, such as 2h"
    )


COMMAND = Command(
    "suspend",
    "change nothing until `nvictl resume`: apply, rollback and down are refused, nvictl run looks and reports",
    (_reason, _for, options.netns, options.wait),
    run,
)
