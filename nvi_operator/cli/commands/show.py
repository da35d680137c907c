"""`nvictl show`: what the gateway does now, in detail."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path

from nvi_operator.cli import nat, options, revisions
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import show


def _flows(context: Context) -> int:
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.language.model.settings import Numbers
    from nvi_operator.view.flows import flows_json, flows_text

    with Kernel(Numbers()) as kernel:
        flows, total = kernel.flows(context.arguments.top)
    show(context.arguments, lambda: flows_json(flows, total), lambda width: flows_text(flows, total, width))
    return 0


def _revision(context: Context) -> int:
    from nvi_operator.cli.revisions import find
    from nvi_operator.view.history import revision_json, revision_text

    arguments = context.arguments
    with context.history() as history:
        revision = find(history, arguments.revision)
        files = history.content(revision.number).files if arguments.export or arguments.output == "json" else {}
    if arguments.export:
        _export(arguments.export, files)
    show(arguments, lambda: revision_json(revision, files), lambda width: revision_text(revision, width))
    return 0


def _export(directory: Path, files: Mapping[str, bytes]) -> None:
    """Into a directory that is not there yet: beside other files it would be another spec."""
    directory.mkdir(parents=True)
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _state(context: Context) -> int:
    import sys
    import time

    from nvi_operator.events.moment import iso
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.plan.observation import Observation

    compiler, numbers = context.compiler()
    with Kernel(numbers, observes=True) as kernel:
        kernel.health = context.health(compiler.spec)
        everywhere = frozenset(kernel.facts().links)
        facts = kernel.facts(everywhere, compiler.flow_cache)
        live = kernel.observe(compiler.meaning(facts)[1])
    saved = Observation(iso(time.time()), numbers, facts, live, compiler.flow_cache is not None)
    sys.stdout.buffer.write(saved.json())
    return 0


def _number(parser: ArgumentParser) -> None:
    parser.add_argument("revision", metavar="REV", type=revisions.number, help="a number, `last` or `confirmed`")


def _directory(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--export", metavar="DIR", type=options.path, help="write its spec into this directory, which is made"
    )


def _top(parser: ArgumentParser) -> None:
    parser.add_argument("--top", metavar="N", type=options.count, default=20, help="so many, by bytes (default: 20)")


COMMAND = Command(
    "show",
    "show what the gateway does now, in detail",
    actions=(
        Command(
            "revision",
            "show what was tried once: who asked, the plan, the outcome; with -o json also the spec",
            (_number, _directory, options.netns, options.output),
            _revision,
        ),
        Command(
            "flows",
            "show the largest flows in the flow cache, before and after translation",
            (_top, options.netns, options.output),
            _flows,
        ),
        Command(
            "state",
            "print what a plan is made of, for `nvictl plan --against` on another machine",
            (options.optional_spec("only for a spec with numbers or a flow cache"), options.netns),
            _state,
        ),
        Command(
            "nat",
            "show rules, forwards, translated flows, or how full pools are",
            (nat.what, options.netns, options.output),
            nat.run,
        ),
    ),
)
