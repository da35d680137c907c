"""`nvictl apply`: one reconcile."""

from __future__ import annotations

from nvi_operator.cli import applying, options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context


def run(context: Context) -> int:
    from nvi_operator.rollout.content import content_of

    loaded = context.load()
    return applying.run(context, loaded, content_of(loaded, context.arguments.spec))


COMMAND = Command(
    "apply",
    "apply the spec, verify, roll back on failure",
    (
        options.spec,
        options.netns,
        options.output,
        options.changes,
        options.quiet,
        options.force,
        options.confirm,
        options.wait,
    ),
    run,
)
