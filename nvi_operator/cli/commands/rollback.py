"""`nvictl rollback`: apply the spec of an earlier revision."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import TYPE_CHECKING

from nvi_operator.cli import revisions
from nvi_operator.cli.apply_options import APPLY
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context

if TYPE_CHECKING:
    from nvi_operator.history.store import History


def run(context: Context) -> int:
    from nvi_operator.cli.applying import apply
    from nvi_operator.errors import NviError
    from nvi_operator.rollout.content import loaded_from

    arguments = context.arguments
    with context.history() as history:
        found = revisions.find(history, arguments.revision or _before(history))
        content = history.content(found.number)
    if not content.files:
        raise NviError(
            f"revision {found.number}: it removed the gateway: there is no spec to apply",
            hint="nvictl down removes the gateway; `nvictl history` lists the revisions",
        )
    return apply(context, loaded_from(content, f"revision {found.number}"), content, of=found.number)


def _before(history: History) -> str:
    """The revision that was confirmed before the one that holds now."""
    from nvi_operator.history.revision import Standing
    from nvi_operator.history.store import HistoryError

    held = [each for each in history.revisions() if each.standing is not Standing.NONE]
    now = history.content(held[0].number) if held else None
    for each in held[1:]:
        # What holds may repeat it: a return, or a rollback.
        if each.standing is Standing.CONFIRMED and each.files and history.content(each.number) != now:
            return str(each.number)
    raise HistoryError("history: there is no earlier revision to return to", hint="`nvictl history` lists all")


def _revision(parser: ArgumentParser) -> None:
    parser.add_argument(
        "revision",
        metavar="REV",
        type=revisions.number,
        nargs="?",
        help="its number in `nvictl history`, or `confirmed` (default: the one that was confirmed before this one)",
    )


COMMAND = Command(
    "rollback",
    "apply the spec of an earlier revision again",
    (_revision, *APPLY),
    run,
)
