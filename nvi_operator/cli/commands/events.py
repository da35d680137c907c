"""`nvictl events`: what happened to a gateway, and what happens."""

from __future__ import annotations

import sys
from argparse import ArgumentParser

from nvi_operator.cli import options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import print_lines, tell, terminal_width


def run(context: Context) -> int:
    from itertools import chain

    from nvi_operator.view.events import event_json, event_text

    arguments = context.arguments
    with context.require_daemon() as daemon:
        last = daemon.ask("subscribe", last=arguments.last)["last"]
        for event in chain(last, daemon.follow() if arguments.follow else ()):
            if arguments.kind and event["event"] not in arguments.kind:
                continue
            if arguments.output == "json":
                print(event_json(event), flush=True)
            else:
                print_lines(event_text(event, terminal_width()))
                sys.stdout.flush()
    if arguments.follow:
        tell("nvictl run closed the connection: it ended, or what it sent was not read")
    return 0


def _follow(parser: ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="print further events as they happen")


def _kind(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--kind",
        metavar="KIND",
        type=options.event_kinds,
        help="only these kinds, such as uplink-down,uplink-up (docs/events.md lists all)",
    )


COMMAND = Command(
    "events",
    "show what happened, from a running nvictl run; with -o json a line for each event",
    (_follow, options.last, _kind, options.netns, options.output),
    run,
)
