"""`nvictl schema`: the JSON Schema of the spec language."""

from __future__ import annotations

import sys

from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context


def run(context: Context) -> int:
    from nvi_operator.language.schema import schema_text

    sys.stdout.write(schema_text())
    return 0


COMMAND = Command("schema", "print the JSON Schema of the spec language", (), run)
