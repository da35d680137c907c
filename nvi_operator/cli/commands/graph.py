"""`nvictl graph`: the topology of a spec, as a picture."""

from __future__ import annotations

import sys
from argparse import ArgumentParser

from nvi_operator.cli import options
from nvi_operator.cli.command import DONE, Command
from nvi_operator.cli.context import Context


def run(context: Context) -> int:
    from nvi_operator.view.graph.drawing import drawing
    from nvi_operator.view.graph.mermaid import mermaid
    from nvi_operator.view.graph.svg import svg

    loaded = context.load()
    picture = drawing(loaded.name, loaded.spec)
    sys.stdout.write(mermaid(picture) if context.arguments.output == "mermaid" else svg(picture))
    return 0


def _output(parser: ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=("svg", "mermaid"), default="svg", help="default: svg")
    parser.add_argument(
        "--mermaid", dest="output", action="store_const", const="mermaid", help="the same as -o mermaid"
    )


COMMAND = Command(
    "graph", "draw the topology of a spec; needs no root and no kernel", (options.spec, _output), run, DONE
)
