"""`nvictl nat-log`: a record of translated flows, for whom the law asks for one."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser

from nvi_operator.cli import options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context

_MIB = 1 << 20


def run(context: Context) -> int:
    from nvi_operator.daemon.nat_log import run_nat_log

    arguments = context.arguments
    return run_nat_log(arguments.file, arguments.format, arguments.buffer * _MIB)


def _file(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--file", metavar="FILE", type=options.path, help="append to it; opened again at SIGHUP (default: print)"
    )


def _format(parser: ArgumentParser) -> None:
    parser.add_argument("--format", choices=("json", "csv"), default="json", help="lines of JSON (default), or CSV")


def _buffer(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--buffer",
        metavar="MIB",
        type=_mebibytes,
        default=64,
        help="memory for reports that wait, in MiB (default: 64); what does not fit is lost, and counted",
    )


def _mebibytes(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 1024):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1024")
    return int(text)


COMMAND = Command(
    "nat-log",
    "write a line for the beginning and the end of each translated flow, until it is stopped",
    (_file, _format, _buffer, options.netns),
    run,
)
