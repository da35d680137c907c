"""The options of commands that apply a spec: `apply` and `rollback`."""

from __future__ import annotations

from nvi_operator.cli import options
from nvi_operator.cli.document import config

APPLY = (
    options.netns,
    options.output,
    options.changes,
    options.quiet,
    options.yes,
    options.force,
    options.confirm,
    options.wait,
    config,
)
