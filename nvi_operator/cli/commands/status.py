"""`nvictl status`: does the gateway work?"""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser
from typing import TYPE_CHECKING, cast

from nvi_operator.cli import options
from nvi_operator.cli.command import Command, Exits
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import show, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nvi_operator.daemon.control.client import Client
    from nvi_operator.view.segment import Piece
    from nvi_operator.view.status import StatusData


def run(context: Context) -> int:
    if context.arguments.watch:
        from nvi_operator.cli.watch import watch

        return watch(context.arguments, lambda: look(context, events=50))
    data = look(context)
    show(context.arguments, lambda: data, lambda width: _text(data, width))
    return 0 if data["working"] else 1


def _text(data: StatusData, width: int | None) -> Iterator[Piece]:
    """Programs that want JSON wait for none of this."""
    from nvi_operator.view.status_text import status_text

    return status_text(data, width)


def look(context: Context, *, events: int | None = None) -> StatusData:
    """What the daemon says, where one follows this spec; otherwise a look of its own, which takes root."""
    from contextlib import nullcontext

    from nvi_operator.errors import CapabilityError

    refused = None
    try:
        with context.daemon() or nullcontext() as daemon:
            if daemon is not None and _follows(daemon, context):
                _require_same_version(daemon)
                arguments = {} if events is None else {"events": events}
                return cast("StatusData", daemon.ask("status", **arguments))
    except CapabilityError as error:
        refused = error
    try:
        data = _look(context)
    except CapabilityError as error:
        raise (refused or error) from error
    if refused is not None:
        data["notes"].append(refused.message)
    return data


def _require_same_version(daemon: Client) -> None:
    """Raises CapabilityError: fields may be missing from what it tells, as between an upgrade and a restart."""
    from nvi_operator import __version__
    from nvi_operator.errors import CapabilityError

    if (version := daemon.ask("hello")["version"]) != __version__:
        raise CapabilityError(
            f"nvictl run: not asked: it is version {version}, and this is {__version__}; restart it",
            hint="systemctl restart nvi-operator",
        )


def _follows(daemon: Client, context: Context) -> bool:
    """Is the gateway that was asked for the daemon's own?"""
    arguments = context.arguments
    if arguments.spec is None:
        return True
    if arguments.host is not None:
        return False
    hello = daemon.ask("hello")
    if arguments.gateway not in (None, hello["gateway"]):
        return False
    try:
        return os.path.samefile(arguments.spec, hello["spec"])
    except OSError:
        return False


def _look(context: Context) -> StatusData:
    from nvi_operator.kernel.inspect.conntrack import conntrack_faults
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.plan.left_alone import without_ignored
    from nvi_operator.reconcile.cycle import dry_run
    from nvi_operator.rollout.waiter import now
    from nvi_operator.topology.faults import faults
    from nvi_operator.view.progress import spinner
    from nvi_operator.view.status import given_up, status_data, suspended, unconfirmed

    file = context.decisions(keeps_on=True)
    decisions = file.read()
    warn(file.warnings)
    compiler, numbers = context.compiler()
    health = context.health(compiler.spec)
    with spinner("comparing with the kernel"), Kernel(numbers, observes=True) as kernel:
        kernel.health = health
        plan = without_ignored(dry_run(kernel, compiler), compiler.spec.drift if compiler.spec else None)
        warn(kernel.warnings)
        counters = kernel.counters(plan.before)
    found = faults(compiler.spec, plan.topology) if compiler.spec and plan.topology else ()
    return status_data(
        compiler.name,
        plan,
        counters,
        (*found, *conntrack_faults()),
        suspended=suspended(decisions, now(), time.time()),
        unconfirmed=unconfirmed(decisions, now()),
        given_up=given_up(decisions),
    )


def _watch(parser: ArgumentParser) -> None:
    parser.add_argument("-w", "--watch", action="store_true", help="show it again and again; in a pipe, what changes")
    parser.add_argument(
        "--every", metavar="SECONDS", type=options.seconds, default=1.0, help="with --watch: how often (default: 1)"
    )


COMMAND = Command(
    "status",
    "show whether the gateway works and is as the spec says: uplinks, rules, counters, last events",
    (options.optional_spec("left out: what a running nvictl run follows"), options.netns, options.output, _watch),
    run,
    Exits("0 in sync and working, 1 degraded or not applied, 2 error", error=2),
)
