"""How commands print: text or JSON on stdout; notes and warnings on stderr."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from nvi_operator.plan.change import Plan


def console() -> Console:
    from rich.console import Console

    # What is printed has addresses and names in brackets, which rich would take for its own markup.
    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


def show(arguments: Namespace, data: Callable[[], Any], text: Callable[[], RenderableType]) -> None:
    if arguments.output == "json":
        print_json(data())
    else:
        console().print(text())


def show_pieces(arguments: Namespace, data: Callable[[], Any], pieces: Iterable[Text]) -> None:
    if arguments.output == "json":
        print_json(data())
        return
    screen = console()
    for piece in pieces:
        screen.print(piece, end="")
    print()


def print_json(data: Any) -> None:
    import json

    json.dump(data, sys.stdout, indent=2)
    print()


def show_plan(arguments: Namespace, name: str, plan: Plan, last: Callable[[Plan], str]) -> None:
    from nvi_operator.view.plan import plan_json, plan_pieces

    show_pieces(arguments, lambda: plan_json(name, plan), plan_pieces(plan, full=arguments.full, last=last))


def show_done(arguments: Namespace, name: str, done: Plan, last: Callable[[Plan], str]) -> None:
    """After an apply, summary and notes matter: a first one has 200 lines."""
    from nvi_operator.view.plan import brief_pieces, plan_json

    if arguments.full:
        show_plan(arguments, name, done, last)
    else:
        show_pieces(arguments, lambda: plan_json(name, done), brief_pieces(done, last=last))


def warn(texts: Iterable[str]) -> None:
    for text in texts:
        print(f"warning: {text}", file=sys.stderr)


def note(plan: Plan) -> None:
    for text in plan.topology.notes if plan.topology else ():
        print(f"note: {text}", file=sys.stderr)
