"""`nvictl schema`: the JSON Schema of the spec language, of a host or of the Operator document."""

from __future__ import annotations

import sys
from argparse import ArgumentParser

from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context


def run(context: Context) -> int:
    from nvi_operator.language.schema import host_schema, operator_schema, schema, schema_text

    kinds = {"gateway": schema, "host": host_schema, "operator": operator_schema}
    sys.stdout.write(schema_text(kinds[context.arguments.kind]()))
    return 0


def _kind(parser: ArgumentParser) -> None:
    parser.add_argument(
        "kind",
        metavar="KIND",
        nargs="?",
        choices=("gateway", "host", "operator"),
        default="gateway",
        help="of which document: gateway (default), host or operator",
    )


COMMAND = Command("schema", "print the JSON Schema of the spec language", (_kind,), run)
