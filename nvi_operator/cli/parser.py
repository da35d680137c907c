"""The parser of all commands. argparse, because it takes 9 ms to import."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from nvi_operator import __version__
from nvi_operator.cli import commands, options
from nvi_operator.cli.command import Command, Exits

_MOST_LISTED = 10


class _Parser(argparse.ArgumentParser):
    """argparse exits with 2 on wrong usage, which means that there are changes (`plan --detailed-exitcode`)."""

    def _parse_optional(self, arg_string: str) -> Any:
        """The arrow of a packet (`nvictl explain`) is no option."""
        return None if arg_string == "->" else super()._parse_optional(arg_string)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """argparse would say of a command or action that is left out only that there must be one."""
        found, unknown = super().parse_known_args(args, namespace)
        for action in self._actions:
            if action.nargs == argparse.PARSER and getattr(found, action.dest) is None:
                self.error(f"no {action.dest} was given{self._listed(action)}")
        return found, unknown

    def _listed(self, action: argparse.Action) -> str:
        """Where there are few, what each is for."""
        choices = list(action._get_subactions())  # type: ignore[attr-defined]
        if len(choices) > _MOST_LISTED:
            return f": `{self.prog} --help` lists them"
        formatter = self._get_formatter()
        formatter.start_section("there are")
        formatter.add_arguments(choices)
        formatter.end_section()
        return f"\n{formatter.format_help()}".rstrip()

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """argparse would list all commands."""
        if action.nargs != argparse.PARSER or not action.choices or value in action.choices:
            return super()._check_value(action, value)
        from nvi_operator.language.wording import nearest, shown

        close = nearest(value, action.choices)
        hint = f"did you mean {close!r}?" if close else f"`{self.prog} --help` lists them"
        raise argparse.ArgumentError(None, f"there is no {action.dest} {shown(value)}: {hint}")

    def error(self, message: str) -> NoReturn:
        self.refuse(message, self.prog.partition(" ")[2])

    def refuse(self, message: str, command: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(error_code(command), f"{self.prog}: error: {message}\n")


def error_code(command: str) -> int:
    """The exit code of an error. Unknown commands have one as well."""
    name = command.partition(" ")[0]
    found = commands.load([name]).get(name)
    return found.exits.error if found else 1


def find(arguments: argparse.Namespace) -> Command:
    """The command, or the action of one, that was given."""
    command = commands.load([arguments.command])[arguments.command]
    return next((action for action in command.actions if action.name == arguments.action), command)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """`command` of the result names the command."""
    parser = make_parser(_named(sys.argv[1:] if argv is None else argv))
    arguments: argparse.Namespace
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:  # argparse would not say to which command they were given
        parser.refuse(f"unrecognized arguments: {' '.join(unknown)}", arguments.command)
    if "netns" in arguments and options.netns not in find(arguments).options:
        parser.refuse(f"{arguments.command} works in no network namespace: leave out --netns", arguments.command)
    return arguments


def _named(argv: Sequence[str]) -> str | None:
    """The command, where it comes first, as it nearly always does: to import all of them takes longer than most."""
    return argv[0] if argv and argv[0] in commands.NAMES else None


def make_parser(only: str | None = None) -> _Parser:
    """Man page and shell completion are made from it as well. `only`: with no other command than this one."""
    found = commands.load(None if only is None else [only]).values()
    width = _width()
    parser = _Parser(
        prog="nvictl",
        description="A declarative network operator for Linux NAT gateways.",
        epilog=_exit_codes(found) if only is None else None,
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=width),
    )
    parser.add_argument("--version", action="version", version=f"nvictl {__version__}")
    options.netns(parser)  # as `ip` has it, before the command; after it works as well
    _add(parser, "command", found, partial(argparse.HelpFormatter, width=width))
    return parser


def _width() -> int:
    """Of help, in characters. argparse would ask shutil, which it imports, for every option."""
    columns = 0
    with suppress(ValueError):
        columns = int(os.environ.get("COLUMNS", 0))
    with suppress(OSError):
        columns = columns or os.get_terminal_size().columns
    return (columns or 80) - 2


def _add(parser: argparse.ArgumentParser, word: str, found: Iterable[Command], formatter: Any) -> None:
    # With `prog`, because argparse would format the usage of the parser to find it out.
    subparsers = parser.add_subparsers(title=f"{word}s", dest=word, metavar=word.upper(), prog=parser.prog)
    for command in found:
        text = command.help
        made = subparsers.add_parser(
            command.name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=None if command.actions else _exit_codes_of(command.exits),
            formatter_class=formatter,
        )
        for option in command.options:
            option(made)
        if command.actions:
            _add(made, "action", command.actions, formatter)


def _exit_codes_of(exits: Exits) -> str:
    return f"exit codes{exits.option and f' with {exits.option}'}: {exits.meaning}"


def _exit_codes(found: Iterable[Command]) -> str:
    """For people: commands with the same exit codes, and what these mean."""
    import textwrap

    rows: dict[tuple[str, str], list[str]] = {}
    for command in found:
        within = f"{command.name} " if command.actions else ""
        for one in command.actions or (command,):
            rows.setdefault((within, one.exits.meaning), []).append(f"{one.name} {one.exits.option}".rstrip())
    indent = "    "
    listed = [
        (textwrap.fill(within + " ".join(names), 78, initial_indent=indent, subsequent_indent=indent), meaning)
        for (within, meaning), names in rows.items()
    ]
    return "exit codes:\n" + "".join(f"  {meaning}:\n{names}\n" for names, meaning in listed)
