"""`nvictl diff`: the plan, with the exit codes of diff(1)."""

from __future__ import annotations

from nvi_operator.cli import options
from nvi_operator.cli.command import DIFFERENCE, Command
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import show_plan


def run(context: Context) -> int:
    from nvi_operator.view.plan import summary

    name, plan = context.dry_run()
    show_plan(context.arguments, name, plan, summary)
    return 1 if plan else 0


COMMAND = Command(
    "diff",
    "like plan, with the exit codes of diff(1)",
    (options.spec, options.netns, options.output, options.changes),
    run,
    DIFFERENCE,
)
