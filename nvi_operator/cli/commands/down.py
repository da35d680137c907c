"""`nvictl down`: remove the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nvi_operator.cli import options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import show_plan, warn

if TYPE_CHECKING:
    from nvi_operator.history.decisions import DecisionsFile
    from nvi_operator.store.lock import GatewayLock


def run(context: Context) -> int:
    from contextlib import closing

    from nvi_operator.cli.asking import ask
    from nvi_operator.cli.once import Around, reconcile_once
    from nvi_operator.history.revision import Content
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.rollout.trial import refuse_suspended
    from nvi_operator.view.plan import removed
    from nvi_operator.view.progress import spinner

    arguments = context.arguments
    compiler, numbers = context.compiler()
    decisions = context.decisions(keeps_on=True)
    with closing(context.lock(alone=True)) as lock:
        lock.refuse_instance()
        refuse_suspended(decisions.read())
        ask(arguments, "Remove the gateway? Inside hosts lose their way out.")
        with context.history() as history, spinner("removing everything"), Kernel(numbers, lock=lock) as kernel:
            attempt = context.attempt(history, Content(compiler.name))
            around = Around(lambda: refuse_suspended(decisions.read()), done=lambda: _settle(decisions))
            outcome = reconcile_once(kernel, Compiler(compiler.name, None), attempt, around)
            outcome.raise_failure()
            warn((*decisions.warnings, *kernel.warnings))
            _tidy(lock)
    if arguments.output == "json" or not arguments.quiet:
        show_plan(arguments, compiler.name, outcome.plan, removed)
    return 0


def _tidy(lock: GatewayLock) -> None:
    """Its lock is needed no more, nor is what probes found, nor what namespaces that are gone have left."""
    from contextlib import suppress

    from nvi_operator.daemon.probes.record import HealthRecord
    from nvi_operator.errors import NviError
    from nvi_operator.kernel.netns import cookie, living
    from nvi_operator.rollout import place
    from nvi_operator.store import leftovers

    with suppress(NviError):  # the next one does it
        HealthRecord(cookie()).remove()
        lock.remove()
        leftovers.sweep(living)
        place.sweep(living)


def _settle(decisions: DecisionsFile) -> None:
    """Nothing is left to confirm or to hold."""
    found = decisions.read()
    if found.pending or found.held:
        decisions.write(found.settled())


COMMAND = Command(
    "down",
    "remove everything that nvictl made, and restore the settings that it changed",
    (
        options.optional_spec("only if spec.numbers was changed"),
        options.netns,
        options.output,
        options.changes,
        options.quiet,
        options.yes,
        options.wait,
    ),
    run,
)
