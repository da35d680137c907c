"""`nvictl show`: what the gateway does now, in detail."""

from __future__ import annotations

from argparse import ArgumentParser

from nvi_operator.cli import nat, options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import show


def _flows(context: Context) -> int:
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.language.model.settings import Numbers
    from nvi_operator.view.flows import flows_json, flows_text

    with Kernel(Numbers()) as kernel:
        flows, total = kernel.flows(context.arguments.top)
    show(context.arguments, lambda: flows_json(flows, total), lambda: flows_text(flows, total))
    return 0


def _top(parser: ArgumentParser) -> None:
    parser.add_argument("--top", metavar="N", type=options.count, default=20, help="so many, by bytes (default: 20)")


COMMAND = Command(
    "show",
    "show what the gateway does now, in detail",
    actions=(
        Command(
            "flows",
            "show the largest flows in the flow cache, before and after translation",
            (_top, options.netns, options.output),
            _flows,
        ),
        Command(
            "nat",
            "show rules, forwards, translated flows, or how full pools are",
            (nat.what, options.netns, options.output),
            nat.run,
        ),
    ),
)
