"""`nvictl compare`: the plan from one revision to another, on this host as it is now."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import TYPE_CHECKING

from nvi_operator.cli import options, revisions
from nvi_operator.cli.command import DIFFERENCE, Command
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import show_plan

if TYPE_CHECKING:
    from nvi_operator.history.revision import Content
    from nvi_operator.state.host import HostState
    from nvi_operator.topology.model import Topology


def run(context: Context) -> int:
    from dataclasses import replace

    from nvi_operator.plan.diff import plan
    from nvi_operator.view.plan import done

    arguments = context.arguments
    with context.history() as history:
        numbers = [revisions.find(history, text).number for text in (arguments.a, arguments.b)]
        first, second = (history.content(number) for number in numbers)
    before, old = _meaning(first, numbers[0])
    after, new = _meaning(second, numbers[1])
    found = replace(plan(old, new), topology=after)
    name, words = second.gateway or first.gateway, f"from revision {numbers[0]} to {numbers[1]}"
    show_plan(arguments, name, found, lambda plan: f"{words}: {done(plan) if plan else 'no difference'}.", before)
    return 1 if found else 0


def _meaning(content: Content, number: int) -> tuple[Topology | None, HostState]:
    """On this host; interfaces that it has not are assumed."""
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.rollout.content import loaded_from
    from nvi_operator.state.host import HostState
    from nvi_operator.topology.assume import assume_missing

    if not content.files:
        return None, HostState()
    loaded = loaded_from(content, f"revision {number}")
    compiler = Compiler(loaded.name, loaded.spec)
    with Kernel(loaded.spec.numbers) as kernel:
        facts = assume_missing(loaded.spec, kernel.facts(compiler.wires, compiler.flow_cache))
    return compiler.meaning(facts)


def _revisions(parser: ArgumentParser) -> None:
    for name, what in (("a", "from this revision"), ("b", "to this one")):
        parser.add_argument(
            name, metavar=name.upper(), type=revisions.number, help=f"{what}: a number, last, confirmed"
        )


COMMAND = Command(
    "compare",
    "show what changes from one revision to another, as a plan, with the exit codes of diff(1)",
    (_revisions, options.netns, options.output, options.changes),
    run,
    DIFFERENCE,
)
