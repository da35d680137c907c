"""`nvictl`: arguments in, exit codes out. Everything heavy is imported by the command that needs it.

commands/     one file for each command (command: what one is). parser, options, apply_options: their arguments
context       what a command works with; document: the Operator document. output: how it prints; asking: its questions
applying      an apply (once: its reconcile, confirming: its trial); returning: from it. revisions: how one is named
checking, explaining, nat, report, tracing, watch, live_preview: what is behind one command or two
"""

from __future__ import annotations

import gc
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from nvi_operator.cli.parser import error_code, find, parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the exit code. Without `argv`: that of this process, which then ends."""
    _look_for_no_plugins()
    enabled = gc.isenabled()
    gc.disable()  # a command ends soon; looking for cycles would take a fifth of its time
    try:
        return _run(argv)
    finally:
        if argv is None:
            gc.freeze()  # the process ends: else the interpreter looks for cycles after all, for a fifth of the time
        if enabled:
            gc.enable()


def _look_for_no_plugins() -> None:
    """pydantic would read the records of all installed packages, in search of plugins.

    What looks for them imports importlib.metadata before it asks whether it is to look: a fifth of `import pydantic`.
    """
    if os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__") == "__all__":
        finder: Any = ModuleType("pydantic.plugin._loader")
        finder.get_plugins = tuple
        finder.__getattr__ = _of_the_real_finder
        sys.modules[finder.__name__] = finder


def _of_the_real_finder(name: str) -> Any:
    """Another version of pydantic may ask that module for more."""
    from importlib import import_module

    if name.startswith("__"):
        raise AttributeError(name)
    del sys.modules["pydantic.plugin._loader"]
    return getattr(import_module("pydantic.plugin._loader"), name)


def _run(argv: Sequence[str] | None) -> int:
    _open_what_is_closed()
    arguments = parse(argv)
    try:
        code = with_errors_told(arguments, lambda: run(arguments))
        sys.stdout.flush()  # so that its errors are reported here
        return code
    except BrokenPipeError:
        _drop_output()  # the reader has ended: `nvictl render | head`
    except OSError as error:
        _drop_output()
        print(f"nvictl: output: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return error_code(arguments.command)


def with_errors_told(arguments: Namespace, function: Callable[[], int]) -> int:
    """The exit code of a command. An error is printed on stderr, and also as JSON on stdout if that was asked for."""
    from nvi_operator.errors import NviError, SpecError

    try:
        return function()
    except NviError as error:
        reported = error
    except OSError as error:
        if error.filename is None:
            raise  # of the output
        reported = NviError(f"{error.filename}: {error.strerror or error}")
    # Editors, problem matchers and CI find `file:line:column: message` at the beginning of a line.
    print(reported if isinstance(reported, SpecError) else f"nvictl: {reported}", file=sys.stderr)
    if getattr(arguments, "output", None) == "json":
        from nvi_operator.cli.output import print_json
        from nvi_operator.view.error import error_json

        print_json(error_json(reported))
    return error_code(arguments.command)


def run(arguments: Namespace) -> int:
    """Run the command in the network namespace that was given."""
    from nvi_operator.cli.context import Context

    if getattr(arguments, "netns", None) is not None:
        from nvi_operator.kernel.netns import enter

        enter(arguments.netns)
    command = find(arguments)
    assert command.run is not None, f"{command.name} has neither run nor actions"
    return command.run(Context(arguments))


def _open_what_is_closed() -> None:
    """Opens closed standard streams (`nvictl ... >&-`): the first file that is opened would take their place."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _drop_output() -> None:
    """Do not try again to write the output when the interpreter ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
