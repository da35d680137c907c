"""Options that commands share, and the types of their values."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nvi_operator.cli.command import Option

if TYPE_CHECKING:
    from nvi_operator.daemon.hooks import EventHook

_DIR = "directory (or file) with the gateway's YAML"
_OUTPUT = 'output format (default: text); with json, an error is printed on stdout as well, as {"error": ...}'
_LONGEST = 86400  # seconds

T = TypeVar("T")


def checked(parse: Callable[[str], T], text: str) -> T:
    """The value of an argument; what `parse` says of a wrong one is told as argparse tells it."""
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def non_empty(text: str) -> str:
    """`nvictl apply "$UNSET"` does not mean the current directory, nor `--netns "$UNSET"` the host."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def path(text: str) -> Path:
    return Path(non_empty(text))


def new_file(text: str) -> Path:
    """Of what is written beside the text on stdout."""
    if text == "-":
        raise argparse.ArgumentTypeError("stdout has the text of the command: name a file")
    return path(text)


def seconds(text: str, least: int = 1) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not least <= value <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{text}: at least {least} seconds, and at most {_LONGEST}")
    return value


def duration(text: str) -> float:
    """Seconds: `90s`, `5m`, `1h`. At least one."""
    from nvi_operator.language.operator.values import parse_duration

    return checked(parse_duration, text)


def last(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n",
        "--last",
        metavar="NUMBER",
        type=count,
        default=20,
        help="show the last NUMBER (default: 20)",
    )


def confirm(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--confirm",
        metavar="TIME",
        type=duration,
        help="return to the confirmed revision unless `nvictl confirm` is called within this time, such as 5m",
    )


def count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on")
    return min(int(text), 1_000_000)


def event_kinds(text: str) -> frozenset[str]:
    """`uplink-down,uplink-up`"""
    from nvi_operator.events.kinds import KINDS

    kinds = frozenset(kind.strip() for kind in text.split(","))
    if wrong := sorted(kinds - set(KINDS)):
        raise argparse.ArgumentTypeError(f"no such event: {wrong[0]!r}; there are: {', '.join(KINDS)}")
    return kinds


def hook(text: str) -> EventHook:
    """`[EVENTS=]TARGET`"""
    from nvi_operator.daemon.hooks import EventHook
    from nvi_operator.language.operator.values import parse_hook

    kinds = None
    if not text.startswith(("/", "http:", "https:")):
        events, equals, text = text.partition("=")
        kinds = event_kinds(events) if equals else None
    return EventHook(checked(parse_hook, text), kinds)


def metrics(text: str) -> str:
    """A loopback address with its port, or the path of a file."""
    from nvi_operator.language.operator.values import parse_metrics

    return checked(parse_metrics, text)


def seconds_or_zero(text: str) -> float:
    return seconds(text, 0)


ALL_HOSTS = "all"


def one_host(text: str) -> str:
    if text == ALL_HOSTS:
        raise argparse.ArgumentTypeError("name one host; `nvictl validate` checks all of them")
    return any_host(text)


def any_host(text: str) -> str:
    from nvi_operator.language.model.values import parse_hostname

    return checked(parse_hostname, text)


def spec(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="DIR", type=path, help=_DIR)
    gateway(parser)


def spec_of_hosts(parser: argparse.ArgumentParser) -> None:
    """The same, for one host or for all of them."""
    parser.add_argument("spec", metavar="DIR", type=path, help=_DIR)
    gateway(parser, host=False)
    parser.add_argument(
        "--host",
        metavar="NAME",
        type=any_host,
        help="read the spec as on this host, not on this machine; all: as on every host that it names",
    )


def optional_spec(without: str) -> Option:
    """`without` says what the command does without a spec."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("spec", metavar="DIR", type=path, nargs="?", help=f"{_DIR}; {without}")
        gateway(parser)

    return add


def gateway(parser: argparse.ArgumentParser, *, host: bool = True) -> None:
    parser.add_argument("--gateway", metavar="NAME", help="use this gateway, not the one of this host")
    if host:
        parser.add_argument("--host", metavar="NAME", type=one_host, help="read the spec as on this host")


def output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        choices=("text", "json"),
        default="text",
        help=_OUTPUT,
    )


def drawn_output(parser: argparse.ArgumentParser) -> None:
    """The output of commands whose results can be drawn as well."""
    parser.add_argument(
        "-o",
        "--output",
        choices=("text", "json", "mermaid", "svg"),
        default="text",
        help=_OUTPUT,
    )
    for form in ("json", "mermaid", "svg"):
        parser.add_argument(
            f"--{form}", dest="output", action="store_const", const=form, help=f"the same as -o {form}"
        )


def netns(parser: argparse.ArgumentParser) -> None:
    # Without a default: it would replace a value that was given before the command.
    parser.add_argument(
        "--netns",
        metavar="NAME",
        type=non_empty,
        default=argparse.SUPPRESS,
        help="work in this network namespace (see ip-netns(8))",
    )


def packet(
    parser: argparse.ArgumentParser, interface: str, words: str, ifname: Callable[[str], str] = non_empty
) -> None:
    """`interface` and `words` say what the in-interface and the words of a packet mean to the command."""
    parser.add_argument("-i", dest="in_interface", metavar="INTERFACE", type=ifname, help=interface)
    parser.add_argument("packet", metavar="PACKET", nargs="+", help=f"PROTOCOL SOURCE to DESTINATION, as in: {words}")


def kernel(parser: argparse.ArgumentParser) -> None:
    """For plans in the words of the spec."""
    parser.add_argument(
        "-v", "--kernel", action="store_true", help="print the kernel's objects as well: ip rule, ip route, nft, ..."
    )


def changes(parser: argparse.ArgumentParser) -> None:
    kernel(parser)
    parser.add_argument(
        "--full", action="store_true", help="like --kernel, with every entry and every line, not the first of many"
    )


def quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="do not print what was changed")


def force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--force",
        action="store_true",
        help="continue although another program uses the mark bits, or an ssh session would be lost",
    )


def yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="ask nothing; without a terminal nothing is asked")


def wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=seconds_or_zero,
        default=30.0,
        help="how long to wait for another nvictl that is changing this gateway (default: 30; 0: not at all)",
    )
