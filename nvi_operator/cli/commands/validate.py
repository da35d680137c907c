"""`nvictl validate`: is a spec right?"""

from __future__ import annotations

from nvi_operator.cli import options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import print_json


def run(context: Context) -> int:
    loaded = context.load()
    if context.arguments.output == "json":
        print_json({"gateway": loaded.name, "files": list(loaded.files), **loaded.counts})
    else:
        print(f"gateway {loaded.name}: valid: {loaded.counts_text}")
    return 0


COMMAND = Command("validate", "check a spec; needs no root and no kernel", (options.spec, options.output), run)
