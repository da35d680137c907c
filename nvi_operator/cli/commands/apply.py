"""`nvictl apply`: one reconcile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nvi_operator.cli import options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context, warn_of_instance
from nvi_operator.cli.output import note, show_plan, warn

if TYPE_CHECKING:
    from nvi_operator.language.model.gateway import GatewaySpec


def run(context: Context) -> int:
    from contextlib import closing

    from nvi_operator.cli.once import reconcile_once
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.view.plan import applied
    from nvi_operator.view.progress import spinner

    arguments = context.arguments
    loaded = context.load()
    with closing(context.lock()) as lock:
        warn_of_instance(lock)
        _run_prechecks(loaded.spec, force=arguments.force)
        health = context.health(loaded.spec)
        with spinner("applying and verifying"), Kernel(loaded.spec.numbers, lock=lock) as kernel:
            kernel.health = health
            outcome = reconcile_once(kernel, Compiler(loaded.name, loaded.spec))
            outcome.raise_failure()
            warn(kernel.warnings)
    if arguments.output == "json" or not arguments.quiet:
        note(outcome.plan)
        show_plan(arguments, loaded.name, outcome.plan, applied)
    return 0


def _run_prechecks(spec: GatewaySpec, *, force: bool) -> None:
    """Warn of what `doctor` calls a problem. Raises ConflictError where another program uses the mark bits."""
    from nvi_operator.kernel.inspect.survey import take_survey
    from nvi_operator.reconcile.precheck import problems, refuse_collisions

    found = problems(take_survey(spec, try_binding=False), spec)
    if not force:
        refuse_collisions(found)
    warn(f"{finding.topic}: {finding.what} (see nvictl doctor)" for finding in found)


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
        options.wait,
    ),
    run,
)
