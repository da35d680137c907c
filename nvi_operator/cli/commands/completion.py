"""`nvictl completion`: a script that completes commands and options in a shell."""

from __future__ import annotations

from argparse import Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterator

from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context

SHELLS = ("bash", "zsh", "fish")


def run(context: Context) -> int:
    import shtab

    from nvi_operator.cli.parser import make_parser

    parser = make_parser()
    for action in _actions(parser):
        if action.metavar == "DIR":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, context.arguments.shell))
    return 0


def _actions(parser: ArgumentParser) -> Iterator[Action]:
    """The options of a parser and of all commands in it."""
    for action in parser._actions:
        yield action
        if isinstance(action, _SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)


def _shell(parser: ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")


COMMAND = Command(
    "completion", 'print completions for a shell, as in eval "$(nvictl completion bash)"', (_shell,), run
)
