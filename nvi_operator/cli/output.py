"""How commands print: text or JSON on stdout; notes and warnings on stderr."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from nvi_operator.plan.change import Plan
    from nvi_operator.topology.model import Topology
    from nvi_operator.view.segment import Piece


STDOUT = Path("-")


def write_file(file: Path, text: str) -> None:
    """`-` is stdout. Raises OSError with the file's name."""
    if file == STDOUT:
        sys.stdout.write(text)
        return
    with errors_named(file):
        file.write_text(text, encoding="utf-8")


@contextmanager
def errors_named(file: Path) -> Iterator[None]:
    """The error of a write, to a full disk for instance, has no file's name."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(file)
        raise


def console() -> Console:
    from rich.console import Console

    # What is printed has addresses and names in brackets, which rich would take for its own markup.
    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


def show(arguments: Namespace, data: Callable[[], Any], lines: Callable[[int | None], Iterable[Piece]]) -> None:
    """`lines` are given the width of the terminal, or None."""
    if arguments.output == "json":
        print_json(data())
    else:
        print_lines(lines(terminal_width()))


def show_pieces(arguments: Namespace, data: Callable[[], Any], pieces: Iterable[Piece]) -> None:
    if arguments.output == "json":
        print_json(data())
        return
    _print_pieces(pieces, end="")
    print()


def print_lines(lines: Iterable[Piece]) -> None:
    _print_pieces(lines, end="\n")


def _print_pieces(pieces: Iterable[Piece], end: str) -> None:
    """Print text with styles, where there are colours."""
    from nvi_operator.view.segment import unstyled

    if not _draws():
        sys.stdout.writelines(f"{unstyled(piece)}{end}" for piece in pieces)
        return
    screen = console()
    for piece in pieces:
        screen.print(rich_text(piece), end=end)


def rich_text(piece: Piece) -> Text:
    """For rich."""
    from rich.text import Text

    return Text.assemble(*((part.text, part.style) for part in piece))


def _draws() -> bool:
    """Are there colours? To import rich's console takes as long as to print most plans."""
    return sys.stdout.isatty() or "FORCE_COLOR" in os.environ


def print_json(data: Any) -> None:
    import json

    json.dump(data, sys.stdout, indent=2)
    print()


def show_plan(
    arguments: Namespace,
    name: str,
    plan: Plan,
    last: Callable[[Plan], str],
    before: Topology | None = None,
    more: Callable[[], Mapping[str, Any]] = dict,
) -> None:
    """`more` goes into the JSON as well."""
    from nvi_operator.view.plan import plan_json, plan_pieces

    shown, width = arguments, terminal_width()
    pieces = plan_pieces(plan, kernel=shown.kernel, full=shown.full, width=width, last=last, before=before)
    show_pieces(arguments, lambda: {**plan_json(name, plan, before=before), **more()}, pieces)


def terminal_width() -> int | None:
    """None where no terminal shows what is printed."""
    if not sys.stdout.isatty():
        return None
    from shutil import get_terminal_size

    return get_terminal_size().columns


def warn(texts: Iterable[str]) -> None:
    for text in texts:
        print(f"warning: {text}", file=sys.stderr)


def tell(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def note(plan: Plan) -> None:
    for text in plan.topology.notes if plan.topology else ():
        tell(text)
