"""`nvictl`: arguments in, exit codes out. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import gc
import os
import sys
from argparse import Namespace
from collections.abc import Sequence

from nvi_operator.cli.parser import parse, trouble


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
    _open_what_is_closed()
    arguments = parse(argv)
    try:
        code = _run_command(arguments)
        sys.stdout.flush()  # an error of that is ours to tell
        return code
    except BrokenPipeError:
        _drop_output()  # the reader has gone: `nvictl render | head`
    except OSError as error:
        _drop_output()
        print(f"nvictl: output: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return trouble(arguments.command)


def _run_command(arguments: Namespace) -> int:
    """Its exit code. An error is told: to people on stderr, and to whoever asked for JSON in JSON, too."""
    from nvi_operator.cli import commands
    from nvi_operator.errors import NviError

    try:
        return commands.run(arguments)
    except NviError as error:
        told = error
    except OSError as error:
        if error.filename is None:
            raise  # of the output
        told = NviError(f"{error.filename}: {error.strerror or error}")
    print(f"nvictl: {told}", file=sys.stderr)
    if getattr(arguments, "output", None) == "json":
        import json

        from nvi_operator.view.error import error_json

        print(json.dumps(error_json(told), indent=2))
    return trouble(arguments.command)


def _open_what_is_closed() -> None:
    """`nvictl ... >&-`: else the first file that is opened would be taken for it."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _drop_output() -> None:
    """What could not be written is not tried again when the interpreter ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
