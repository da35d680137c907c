"""`nvictl trace`: a live packet's way, rule by rule, beside what `nvictl explain` predicts."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser

from nvi_operator.cli import options, revisions
from nvi_operator.cli.command import Command, Exits
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import print_json, print_lines, tell, terminal_width

NONE_CAME = 3
_MOST = 100


def run(context: Context) -> int:
    from nvi_operator.cli.tracing import trace
    from nvi_operator.view.explain.traced import traced_json, traced_tree

    arguments = context.arguments
    gateway, sights = trace(context, tell)
    if arguments.output == "json":
        print_json(traced_json(gateway, sights))
    else:
        print_lines(traced_tree(sights, width=terminal_width(), kernel=arguments.kernel))
    if not sights:
        tell(f"no such packet within {arguments.seconds:g} s; packets of a flow cache are not seen")
    return 0 if sights else NONE_CAME


def _packet(parser: ArgumentParser) -> None:
    options.packet(
        parser,
        "only what comes in by this interface; left out: by any, and what the gateway itself sends",
        "tcp any to 203.0.113.9:443; `any` is every address, and ports may be left out",
        _interface,
    )


def _bounds(parser: ArgumentParser) -> None:
    parser.add_argument("--reply", action="store_true", help="trace the answers as well")
    parser.add_argument(
        "--count", metavar="N", type=_count, default=1, help=f"so many packets (default: 1, at most {_MOST})"
    )
    parser.add_argument(
        "--seconds", metavar="S", type=options.seconds, default=30.0, help="how long to wait (default: 30)"
    )


def _names(parser: ArgumentParser) -> None:
    names = parser.add_mutually_exclusive_group()
    names.add_argument(
        "--on",
        dest="spec",
        metavar="DIR",
        type=options.path,
        help="name entries by this spec (default: that of the last revision)",
    )
    names.add_argument(
        "--rev", metavar="REV", type=revisions.number, help="by that of a revision: a number, last, confirmed"
    )
    options.gateway(parser)
    parser.set_defaults(live=True)


def _interface(text: str) -> str:
    from nvi_operator.language.model.values import parse_ifname

    return options.checked(parse_ifname, text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= _MOST):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_MOST}")
    return int(text)


COMMAND = Command(
    "trace",
    "trace live packets through both passes, rule by rule, beside what explain predicts of them",
    (_packet, _bounds, _names, options.kernel, options.netns, options.output),
    run,
    Exits(f"0 traced, 1 error, {NONE_CAME} no such packet came"),
)
