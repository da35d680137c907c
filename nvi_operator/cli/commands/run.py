"""`nvictl run`: the daemon."""

from __future__ import annotations

from argparse import ArgumentParser

from nvi_operator.cli import options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context


def run(context: Context) -> int:
    from nvi_operator.daemon.service import run_daemon

    arguments = context.arguments
    return run_daemon(
        arguments.spec,
        gateway=arguments.gateway,
        rescan_seconds=arguments.rescan,
        force=arguments.force,
        kernel_lines=arguments.kernel,
        hooks=arguments.hook,
        metrics=arguments.metrics,
    )


def _rescan(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--rescan",
        metavar="SECONDS",
        type=options.seconds,
        default=60.0,
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
    (options.spec, options.netns, _rescan, options.kernel, options.force, _hook, _metrics),
    run,
)
