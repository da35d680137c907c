"""What a command consists of. A command is a file in `commands/` and a line in `commands/__init__.py`.

No dataclasses here: importing them would take a third of the time of `nvictl --help`.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nvi_operator.cli.context import Context

Option = Callable[[ArgumentParser], None]  # adds it; `options.py` has those that several commands share


class Exits(NamedTuple):
    """Exit codes, in words and for errors. `option`: the one that they hold for."""

    meaning: str
    error: int = 1
    option: str = ""


DONE = Exits("0 done, 1 error")
# As diff(1) has it, where 1 means that there is a difference.
DIFFERENCE = Exits("0 no difference, 1 difference, 2 error", error=2)


class Command(NamedTuple):
    """`run` returns the exit code; it imports what is heavy by itself, so that `--help` stays quick.

    A command with `actions` has these as commands of its own, and no `run`.
    """

    name: str
    help: str
    options: tuple[Option, ...] = ()
    run: Callable[[Context], int] | None = None
    exits: Exits = DONE
    actions: tuple[Command, ...] = ()
