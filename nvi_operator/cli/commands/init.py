"""`nvictl init`: a first spec, from what this machine has."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path

from nvi_operator.cli import options
from nvi_operator.cli.command import DONE, Command
from nvi_operator.cli.context import Context

_FILE = "gateway.yaml"


def run(context: Context) -> int:
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.language.model.settings import Numbers
    from nvi_operator.topology.first_spec import guess
    from nvi_operator.view.first_spec import first_spec_lines

    arguments = context.arguments
    with Kernel(Numbers()) as kernel:
        facts = kernel.facts(frozenset(kernel.facts().links))
    text = "".join(f"{line}\n" for line in first_spec_lines(guess(facts, arguments.uplink)))
    if arguments.directory is None:
        sys.stdout.write(text)
        return 0
    written = _write(arguments.directory, text)
    print(f"{written}: written; read it, then: nvictl plan {arguments.directory}")
    return 0


def _write(directory: Path, text: str) -> Path:
    """Never over a spec that is there. Raises NviError and OSError."""
    from nvi_operator.errors import NviError

    directory.mkdir(parents=True, exist_ok=True)
    others = sorted(found.name for found in directory.iterdir() if found.suffix in (".yaml", ".yml"))
    # The Operator document is no spec of a gateway.
    if there := [name for name in others if name != "operator.yaml"]:
        raise NviError(
            f"nvictl init: {directory} already has {there[0]}",
            hint="name another directory, or none, to print the spec",
        )
    path = directory / _FILE
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    return path


def _directory(parser: ArgumentParser) -> None:
    parser.add_argument(
        "directory",
        metavar="DIR",
        type=options.path,
        nargs="?",
        help=f"where to write {_FILE}, such as /etc/nvi-operator; left out: print it",
    )


def _uplink(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--uplink",
        metavar="IFNAME",
        action="append",
        type=options.non_empty,
        default=[],
        help="an interface that is an uplink although it has no default route; may be given several times",
    )


COMMAND = Command(
    "init",
    "write a first spec from this machine's interfaces, addresses and routes; needs no root",
    (_directory, _uplink, options.netns),
    run,
    DONE,
)
