"""`nvictl plan`: what an apply would do."""

from __future__ import annotations

from argparse import ArgumentParser

from nvi_operator.cli import options
from nvi_operator.cli.command import Command, Exits
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import note, show_plan


def run(context: Context) -> int:
    from nvi_operator.view.plan import summary

    name, plan = context.preview()
    note(plan)
    show_plan(context.arguments, name, plan, summary)
    return 2 if plan and context.arguments.detailed_exitcode else 0


def _detailed(parser: ArgumentParser) -> None:
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit with 2 when there are changes")


COMMAND = Command(
    "plan",
    "show what apply would do",
    (options.spec, options.netns, options.output, options.changes, _detailed),
    run,
    Exits("0 no changes, 1 error, 2 changes", option="--detailed-exitcode"),
)
