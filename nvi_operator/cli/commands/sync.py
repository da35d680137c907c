"""`nvictl sync`: have a running `nvictl run` fetch its git source now."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from nvi_operator.cli import options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import print_json


def run(context: Context) -> int:
    with context.require_daemon() as daemon:
        daemon.wait(context.arguments.wait)
        answer = daemon.ask("sync")
    if context.arguments.output == "json":
        print_json(answer)
    else:
        print(_text(answer))
    return 1 if answer["errors"] else 0


def _text(answer: dict[str, Any]) -> str:
    source = answer["source"]
    signed = f", signed by {source['signer']}" if source["signer"] else ""
    head = f"{source['ref']} at {source['commit'][:7]} by {source['author']}{signed}: {source['subject']}"
    if answer["errors"]:
        return "\n".join([head, *answer["errors"]])
    if not answer["changed"]:
        return f"{head}\nnothing new"
    if not answer["applied"]:
        return f"{head}\nnothing to change: in sync"
    return f"{head}\napplied and verified in {answer['seconds'] * 1000:.0f} ms: {answer['applied']}"


def _wait(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--wait", metavar="SECONDS", type=options.seconds, default=300.0, help="for the outcome (default: 300)"
    )


COMMAND = Command(
    "sync",
    "have nvictl run fetch its git source now, and tell what came of it",
    (options.netns, options.output, _wait),
    run,
)
