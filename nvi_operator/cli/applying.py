"""One reconcile by hand: what `apply` and `rollback` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nvi_operator.cli.context import Context, warn_of_instance
from nvi_operator.cli.output import note, show_plan, warn

if TYPE_CHECKING:
    from nvi_operator.history.revision import Content
    from nvi_operator.language.load.loader import LoadedSpec
    from nvi_operator.language.model.gateway import GatewaySpec


def run(context: Context, loaded: LoadedSpec, content: Content, *, of: int | None = None) -> int:
    """`content` is what `loaded` was made of; `of` the revision that it is from."""
    from contextlib import closing

    from nvi_operator.cli.once import reconcile_once
    from nvi_operator.errors import NviError
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.view.plan import applied
    from nvi_operator.view.progress import spinner

    arguments = context.arguments
    with closing(context.lock()) as lock, context.history() as history:
        warn_of_instance(lock)
        attempt = context.attempt(history, content, of=of)
        try:
            _run_prechecks(loaded.spec, force=arguments.force)
        except NviError as error:
            attempt.stopped(error)
            raise
        health = context.health(loaded.spec)
        with spinner("applying and verifying"), Kernel(loaded.spec.numbers, lock=lock) as kernel:
            kernel.health = health
            outcome = reconcile_once(kernel, Compiler(loaded.name, loaded.spec), attempt)
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
