"""`nvictl status`: does the gateway work?"""

from __future__ import annotations

from nvi_operator.cli import options
from nvi_operator.cli.command import Command, Exits
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import show, warn


def run(context: Context) -> int:
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.reconcile.cycle import preview
    from nvi_operator.topology.faults import faults
    from nvi_operator.view.progress import spinner
    from nvi_operator.view.status import is_working, status_json, status_text

    compiler, numbers = context.compiler()
    with spinner("comparing with the kernel"), Kernel(numbers) as kernel:
        plan = preview(kernel, compiler)
        warn(kernel.warnings)
        counters = kernel.counters(plan.before)
    found = faults(compiler.spec, plan.topology) if compiler.spec and plan.topology else ()
    show(
        context.arguments,
        lambda: status_json(compiler.name, plan, counters, found),
        lambda: status_text(compiler.name, plan, counters, found),
    )
    return 0 if is_working(plan, found) else 1


COMMAND = Command(
    "status",
    "show the device, its counters, the uplinks, and whether the kernel matches the spec",
    (options.optional_spec, options.netns, options.output),
    run,
    Exits("0 in sync and working, 1 degraded or not applied, 2 error", error=2),
)
