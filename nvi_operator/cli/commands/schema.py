"""`nvictl schema`: the JSON Schema of the spec language, or of the Operator document."""

from __future__ import annotations

import sys
from argparse import ArgumentParser

from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context


def run(context: Context) -> int:
    from nvi_operator.language.schema import operator_schema, schema_text

    sys.stdout.write(schema_text(operator_schema() if context.arguments.kind == "operator" else None))
    return 0


def _kind(parser: ArgumentParser) -> None:
    parser.add_argument(
        "kind",
        metavar="KIND",
        nargs="?",
        choices=("gateway", "operator"),
        default="gateway",
        help="of which document: gateway (default) or operator",
    )


COMMAND = Command("schema", "print the JSON Schema of the spec language", (_kind,), run)
