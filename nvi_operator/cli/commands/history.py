"""`nvictl history`: what was tried on this gateway."""

from __future__ import annotations

from argparse import ArgumentParser

from nvi_operator.cli import options
from nvi_operator.cli.command import Command, Exits
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import show, warn


def run(context: Context) -> int:
    from nvi_operator.view.history import history_table, revision_json
    from nvi_operator.view.segment import line

    arguments = context.arguments
    with context.history() as history:
        if arguments.verify:
            damaged = history.verify()
            found = {"path": str(history.path), "damaged": damaged}
            texts = damaged or [f"{history.path}: sound"]
            show(arguments, lambda: found, lambda _: map(line, texts))
            return 1 if damaged else 0
        revisions = history.revisions(arguments.last)
        warn(history.take_warnings())
    show(
        arguments,
        lambda: {"revisions": [revision_json(each) for each in revisions]},
        lambda width: history_table(revisions, width),
    )
    return 0


def _verify(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read all of it, and compare every checksum; exit with 1 where one differs",
    )


COMMAND = Command(
    "history",
    "list the specs that were tried on this gateway, and what came of them",
    (options.last, _verify, options.netns, options.output),
    run,
    Exits("0 done, 1 damaged, or an error"),
)
