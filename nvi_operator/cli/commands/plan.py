"""`nvictl plan`: what an apply would do."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from typing import TYPE_CHECKING

from nvi_operator.cli import checking, options
from nvi_operator.cli.command import Command, Exits
from nvi_operator.cli.context import Context
from nvi_operator.cli.document import config
from nvi_operator.cli.output import errors_named, note, show_plan, tell

if TYPE_CHECKING:
    from nvi_operator.plan.change import Plan


def run(context: Context) -> int:
    from nvi_operator.view.invariants import results_json
    from nvi_operator.view.plan import summary

    arguments = context.arguments
    name, plan = _against(context) if arguments.against else context.dry_run(lock_out=context.lock_out())
    note(plan)
    if arguments.out:
        _save(context, plan)
    loaded = context.loaded()
    results = checking.of_plan(loaded, plan, context.facts, thorough=arguments.junit is not None)
    failed = checking.report(loaded, results, arguments.junit)
    show_plan(arguments, name, plan, summary, more=lambda: {"checks": results_json(results, loaded.where)})
    if failed:
        sys.stdout.flush()
        print(failed, file=sys.stderr)
        return 1
    return 2 if plan and context.arguments.detailed_exitcode else 0


def _against(context: Context) -> tuple[str, Plan]:
    """Plan for another machine, from what it held when its state was saved."""
    from nvi_operator.errors import printable
    from nvi_operator.plan.observation import read_observation

    path = context.arguments.against
    saved = read_observation(path.read_bytes(), str(path))
    tell(
        printable(
            f"compared with {saved.found.hostname} as it was at {saved.taken}; flows and lock-outs are not known"
        )
    )
    return context.dry_run_against(saved)


def _save(context: Context, plan: Plan) -> None:
    """In a file that only its owner can read. NviError where another kind of file is there."""
    from nvi_operator.errors import NviError
    from nvi_operator.rollout.content import content_of
    from nvi_operator.rollout.saved_plan import SavedPlan, is_saved_plan

    arguments = context.arguments
    path = arguments.out
    saved = SavedPlan.of(arguments.spec, content_of(context.loaded(), arguments.spec), plan)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with errors_named(path):
        if path.is_file():
            path = path.resolve()  # a link stays, /dev/stdout for instance
            if path.stat().st_size and not is_saved_plan(path):
                raise NviError(f"{path}: it is there already, and is not a saved plan", hint="name another file")
            path.unlink()  # others may be able to read it
        elif path.exists():  # a pipe, or a device
            flags = os.O_WRONLY
        with open(os.open(path, flags, 0o600), "wb") as file:
            file.write(saved.json())


def _files(parser: ArgumentParser) -> None:
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--out",
        metavar="FILE",
        type=options.new_file,
        help="save it: `nvictl apply FILE` does just that, or nothing",
    )
    either.add_argument(
        "--against",
        metavar="FILE",
        type=options.path,
        help="compare with what `nvictl show state` wrote on a gateway, not with this machine; needs no root",
    )


def _detailed(parser: ArgumentParser) -> None:
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit with 2 when there are changes")


COMMAND = Command(
    "plan",
    "show what apply would do, and check invariants and assertions",
    (options.spec, options.netns, options.output, options.changes, _files, _detailed, checking.junit, config),
    run,
    Exits("0 no changes, 1 error, 2 changes", option="--detailed-exitcode"),
)
