"""`nvictl`: arguments in, exit codes out. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from nvi_operator.cli.parser import make_parser

# As GNU diff has it, where 1 means that there is a difference.
_TROUBLE = {"diff": 2, "drift": 2}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the exit code."""
    enabled = gc.isenabled()
    gc.disable()  # a command ends soon; looking for cycles would take a fifth of its time
    try:
        return _run(argv)
    finally:
        if enabled:
            gc.enable()


def _run(argv: Sequence[str] | None) -> int:
    arguments = make_parser().parse_args(argv)
    from nvi_operator.cli import commands
    from nvi_operator.errors import NviError

    try:
        return commands.run(arguments)
    except NviError as error:
        print(f"nvictl: {error}", file=sys.stderr)
        return _TROUBLE.get(arguments.command, 1)
    except BrokenPipeError:
        # The reader has gone (`nvictl render | head`); leave nothing for the interpreter to flush.
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130
