"""`nvictl drift`: where the kernel differs from the spec."""

from __future__ import annotations

from nvi_operator.cli import options
from nvi_operator.cli.command import DIFFERENCE, Command
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import show_pieces, terminal_width


def run(context: Context) -> int:
    from nvi_operator.view.drift import drift_json, drift_pieces

    name, plan = context.dry_run(drift=True)
    shown = context.arguments
    pieces = drift_pieces(plan, kernel=shown.kernel, full=shown.full, width=terminal_width())
    show_pieces(context.arguments, lambda: drift_json(name, plan), pieces)
    return 1 if plan else 0


COMMAND = Command(
    "drift",
    "show where the gateway's objects differ from the spec: changed by others, or not applied yet; changes nothing",
    (options.spec, options.netns, options.output, options.changes),
    run,
    DIFFERENCE,
)
