"""`nvictl run`: the daemon."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from nvi_operator.cli import options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context
from nvi_operator.cli.document import DIRECTORY, config, document

if TYPE_CHECKING:
    from nvi_operator.language.operator.model import OperatorSpec
    from nvi_operator.rollout.trial import Confirm


def run(context: Context) -> int:
    from nvi_operator.daemon.hooks import EventHook
    from nvi_operator.daemon.run import RunOptions, run_daemon
    from nvi_operator.errors import NviError

    arguments = context.arguments
    if arguments.spec is not None and arguments.config is not None:
        raise NviError("nvictl run: both DIR and --config are given", hint="the Operator document names the source")
    spec = document(arguments.config, host_only=False) if arguments.spec is None else None
    hooks = (
        [EventHook(each.to, frozenset(each.events) if each.events else None) for each in spec.hooks] if spec else []
    )
    asked = RunOptions(
        _directory(arguments.spec, spec),
        git=spec.source.git if spec else None,
        signatures=spec.signatures if spec else None,
        gateway=arguments.gateway or (spec.gateway if spec else None),
        host=arguments.host or (spec.host if spec else None),
        rescan_seconds=arguments.rescan or (spec.rescan if spec else 60.0),
        force=arguments.force,
        kernel_lines=arguments.kernel,
        hooks=[*hooks, *arguments.hook],
        metrics=[*(spec.metrics if spec else ()), *arguments.metrics],
        confirm=_confirm(arguments.confirm, spec),
        protect=(spec.protect if spec else None) or (),
        checks=spec.checks if spec else {},
    )
    return run_daemon(asked)


def _confirm(within: float | None, spec: OperatorSpec | None) -> Confirm | None:
    """`within` seconds, where the command line says so."""
    from nvi_operator.rollout.trial import Confirm

    found = spec.confirm if spec else None
    if within is None and found is None:
        return None
    return Confirm(within or (found.within if found else 0.0), found.by if found else "hand")


def _directory(given: Path | None, spec: OperatorSpec | None) -> Path | None:
    """The directory to follow; None: the source is git. Raises NviError."""
    from nvi_operator.errors import NviError

    if given is not None:
        return given
    if spec is not None:
        return Path(spec.source.directory) if spec.source.directory else None
    if not DIRECTORY.is_dir():
        raise NviError(
            f"nvictl run: no DIR given, and there is no {DIRECTORY}",
            hint="name the directory of the gateway's spec, or make a first one: nvictl init",
        )
    return DIRECTORY


def _rescan(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--rescan",
        metavar="SECONDS",
        type=options.seconds,
        help="check at least this often (default: 60)",
    )


def _hook(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--hook",
        metavar="[EVENTS=]TARGET",
        action="append",
        type=options.hook,
        default=[],
        help="tell a program (an absolute path) or a web address of events, or of those named, such as "
        "uplink-down,uplink-up=/etc/nvi-operator/on-uplink; may be given several times",
    )


def _metrics(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--metrics",
        metavar="TARGET",
        action="append",
        type=options.metrics,
        default=[],
        help="publish metrics for Prometheus at a loopback address, such as 127.0.0.1:9478, or in a file for "
        "node_exporter, such as /var/lib/prometheus/node-exporter/nvi.prom; may be given several times",
    )


COMMAND = Command(
    "run",
    "keep the gateway as the spec says: watch files and kernel, repair drift",
    (
        options.optional_spec("left out: the Operator document, or /etc/nvi-operator"),
        options.netns,
        config,
        _rescan,
        options.kernel,
        options.force,
        options.confirm,
        _hook,
        _metrics,
    ),
    run,
)
