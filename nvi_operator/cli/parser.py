"""The command line, as data. argparse, because it takes 9 ms to import."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from nvi_operator import __version__

_EPILOG = """\
exit codes:
  validate render apply run down schema                  0 done, 1 error
  status                                                 0 in sync and working, 1 degraded or not applied, 2 error
  doctor                                                 0 no problem, 1 a problem, or an error
  plan --detailed-exitcode                               0 no changes, 1 error, 2 changes
  diff drift                                             0 no difference, 1 difference, 2 error
  module status                                          0 the module can be used, 1 it cannot
  module build install uninstall                         0 done, 1 error
"""

# As GNU diff has it, where 1 means that there is a difference.
_TROUBLE = {"diff": 2, "drift": 2, "status": 2}


def trouble(command: str) -> int:
    """The exit code of an error."""
    return _TROUBLE.get(command, 1)


class _Parser(argparse.ArgumentParser):
    """argparse ends with 2 on wrong usage, which means that there are changes (`plan --detailed-exitcode`)."""

    def error(self, message: str) -> NoReturn:
        self.refuse(message, self.prog.partition(" ")[2])

    def refuse(self, message: str, command: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(trouble(command), f"{self.prog}: error: {message}\n")


def _said(text: str) -> str:
    """`nvictl apply "$UNSET"` is not for the current directory, nor `--netns "$UNSET"` for the host."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def _path(text: str) -> Path:
    return Path(_said(text))


def _seconds(text: str, least: int = 1) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not least <= value <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{text}: at least {least} seconds, and at most {_LONGEST}")
    return value


def _seconds_or_none(text: str) -> float:
    return _seconds(text, 0)


_LONGEST = 86400

Add = Callable[[argparse.ArgumentParser], None]
Command = tuple[str, str, tuple[Add, ...]]


def _spec(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="DIR", type=_path, help="directory (or file) with the gateway's YAML")
    _choice(parser)


def _optional_spec(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "spec", metavar="DIR", type=_path, nargs="?", help="directory (or file) with the gateway's YAML"
    )
    _choice(parser)


def _choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gateway", metavar="NAME", help="use this gateway, not the one for this host")


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        choices=("text", "json"),
        default="text",
        help='default: text; with json an error is {"error": ...} on stdout, too',
    )


def _netns(parser: argparse.ArgumentParser) -> None:
    # Without a default: it would replace what was given before the command.
    parser.add_argument(
        "--netns",
        metavar="NAME",
        type=_said,
        default=argparse.SUPPRESS,
        help="work in this network namespace (see ip-netns(8))",
    )


def _detailed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit with 2 when there are changes")


def _full(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--full", action="store_true", help="show every entry, and not only the first few of many")


def _verbose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-v", "--full", action="store_true", help="print every line of what is done, not only a summary"
    )


def _quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="do not print what is done")


def _force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="go on although somebody else uses our bits of the mark")


def _wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=_seconds_or_none,
        default=30.0,
        help="wait so long for another nvictl that is changing this gateway (default: 30; 0: not at all)",
    )


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rescan", metavar="SECONDS", type=_seconds, default=60.0, help="check at least this often (default: 60)"
    )


def _kernel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kernel", metavar="RELEASE", help="for this kernel, as in /lib/modules (default: the running one)"
    )


def _source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", metavar="DIR", type=Path, help="the module's sources (default: those shipped with nvictl)"
    )


def _build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", metavar="DIR", type=Path, default=Path(), help="where to put nvi.ko (default: here)"
    )


def _no_dkms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-dkms", action="store_true", help="do not use DKMS although it is there")


_MODULE_COMMANDS: tuple[Command, ...] = (
    ("status", "show whether the module can be used, and if not, what to do", (_output,)),
    ("build", "build nvi.ko against a kernel's headers; needs no root", (_source, _kernel, _build)),
    (
        "install",
        "build nvi.ko and file it where modprobe finds it; with DKMS, where that is installed",
        (_source, _kernel, _no_dkms),
    ),
    ("uninstall", "remove what install installed, for every kernel; a loaded module stays loaded", ()),
)


def _module(parser: argparse.ArgumentParser) -> None:
    _add_commands(parser, "action", _MODULE_COMMANDS)


_COMMANDS: tuple[Command, ...] = (
    ("validate", "check a spec; needs no root and no kernel", (_spec, _output)),
    ("render", "print what a spec means as a shell script: nft, ip, sysctl; needs no root", (_spec, _netns, _output)),
    ("plan", "show what apply would do", (_spec, _netns, _output, _full, _detailed)),
    ("diff", "like plan, with the exit codes of diff(1)", (_spec, _netns, _output, _full)),
    (
        "apply",
        "make this gateway what the spec says, verify it, or put everything back",
        (_spec, _netns, _output, _verbose, _quiet, _force, _wait),
    ),
    (
        "status",
        "show the device, its counters, the uplinks, and whether the kernel matches the spec",
        (_optional_spec, _netns, _output),
    ),
    (
        "drift",
        "show where what is ours differs from the spec: by others' doing, or not applied yet; changes nothing",
        (_spec, _netns, _output, _full),
    ),
    (
        "run",
        "keep this gateway what the spec says: watch files and kernel, heal drift",
        (_spec, _netns, _run, _force),
    ),
    (
        "down",
        "remove everything of ours and restore what was changed; DIR only if spec.numbers was changed",
        (_optional_spec, _netns, _output, _verbose, _quiet, _wait),
    ),
    ("doctor", "what this machine can do, and what on it would break the gateway", (_optional_spec, _netns, _output)),
    ("module", "the kernel module of dataplane kmod: look, build, install", (_module,)),
    ("schema", "print the JSON Schema of the spec language", ()),
)

_IN_NETNS = frozenset(name for name, _, adders in _COMMANDS if _netns in adders)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """`command` of the result names the command."""
    parser = _make_parser()
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:  # argparse would not say to which command they were given
        parser.refuse(f"unrecognized arguments: {' '.join(unknown)}", arguments.command)
    if "netns" in arguments and arguments.command not in _IN_NETNS:
        parser.refuse(f"{arguments.command} works in no network namespace: leave out --netns", arguments.command)
    return arguments


def _make_parser() -> _Parser:
    """See `parse`."""
    parser = _Parser(
        prog="nvictl",
        description="A declarative network operator for Linux NAT gateways.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nvictl {__version__}")
    _netns(parser)  # as `ip` has it, before the command; after it works as well
    _add_commands(parser, "command", _COMMANDS)
    return parser


def _add_commands(parser: argparse.ArgumentParser, word: str, commands: tuple[Command, ...]) -> None:
    subparsers = parser.add_subparsers(dest=word, required=True, metavar=word.upper())
    for name, summary, adders in commands:
        command = subparsers.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        for add in adders:
            add(command)
