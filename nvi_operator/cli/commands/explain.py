"""`nvictl explain`: what happens to a packet, hook by hook, before it happens."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from nvi_operator.cli import options, revisions
from nvi_operator.cli.command import Command, Exits
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import print_json, terminal_width

if TYPE_CHECKING:
    from nvi_operator.language.model.values import Address
    from nvi_operator.view.explain.model import Explanation

NOT_MODELLED = 3


def run(context: Context) -> int:
    from nvi_operator.cli.explaining import explanation_of

    explanation = explanation_of(context)
    _print(context, explanation)
    return 0 if explanation.is_whole else NOT_MODELLED


def _print(context: Context, explanation: Explanation) -> None:
    match context.arguments.output:
        case "json":
            from nvi_operator.view.explain.data import explanation_json

            print_json(explanation_json(explanation))
        case "mermaid":
            from nvi_operator.view.explain.mermaid import explanation_mermaid

            sys.stdout.write(explanation_mermaid(explanation))
        case "svg":
            from nvi_operator.view.explain.svg import explanation_svg

            sys.stdout.write(explanation_svg(explanation))
        case _:
            from nvi_operator.cli.output import print_lines
            from nvi_operator.view.explain.tree import tree

            print_lines(tree(explanation, width=terminal_width(), kernel=context.arguments.kernel))


def _packet(parser: ArgumentParser) -> None:
    options.packet(
        parser,
        "the interface that it comes in by; left out: the gateway itself sends it",
        "tcp 10.0.0.5:40000 to 203.0.113.9:443; then fields, as in: "
        "ttl 3 length 1500 dscp ef mark 0x10 flags syn,ack type echo-reply",
    )


def _what_follows(parser: ArgumentParser) -> None:
    parser.add_argument("--reply", action="store_true", help="explain the answer's way back as well")
    parser.add_argument(
        "--error",
        action="store_true",
        help="explain the way of an ICMP error about it as well: of the host that it is sent to, or of the gateway "
        "where that refuses it",
    )
    parser.add_argument(
        "--error-by", metavar="ADDRESS", type=_address, help="the same, of a router on the way beyond the gateway"
    )


def _address(text: str) -> Address:
    from nvi_operator.language.model.values import parse_address

    return options.checked(parse_address, text)


def _where(parser: ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--on",
        dest="spec",
        metavar="DIR",
        type=options.path,
        default=Path("."),
        help="by this spec, a directory or file (default: the current directory)",
    )
    where.add_argument(
        "--live", action="store_true", help="by what this host's kernel holds now; needs root, as status does"
    )
    where.add_argument(
        "--rev", metavar="REV", type=revisions.number, help="by the spec of a revision: a number, last, confirmed"
    )
    options.gateway(parser)


COMMAND = Command(
    "explain",
    "explain what happens to a packet, hook by hook; needs no root",
    (_packet, _what_follows, _where, options.kernel, options.netns, options.drawn_output),
    run,
    Exits(f"0 explained, 1 error, {NOT_MODELLED} something on the way is not modelled"),
)
