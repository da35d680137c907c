"""`nvictl simulate`: the gateway of a spec in network namespaces, tried with packets."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import IO, TYPE_CHECKING

from nvi_operator.cli import options
from nvi_operator.cli.command import Command, Exits
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import errors_named, show

if TYPE_CHECKING:
    from nvi_operator.language.load.loader import LoadedSpec

_MOST = 200


def run(context: Context) -> int:
    import os
    from contextlib import ExitStack

    from nvi_operator.cli import with_errors_told
    from nvi_operator.errors import CapabilityError
    from nvi_operator.simulate.isolation import isolated

    arguments = context.arguments
    loaded = context.load()
    _check_down(loaded, arguments.down)
    if os.geteuid() != 0:
        raise CapabilityError("simulate: making network namespaces: root is needed", hint="use sudo")
    with ExitStack() as files:  # they are opened here: the child does not see all directories
        capture = files.enter_context(open(arguments.pcap, "wb")) if arguments.pcap else None
        report = files.enter_context(open(arguments.junit, "w", encoding="utf-8")) if arguments.junit else None
        return isolated(lambda: with_errors_told(arguments, lambda: _simulate(context, loaded, capture, report)))


def _check_down(loaded: LoadedSpec, down: list[str]) -> None:
    """Raises NviError for an uplink that is none of the spec."""
    from nvi_operator.errors import NviError

    for name in down:
        if name not in loaded.spec.uplinks:
            known = ", ".join(sorted(loaded.spec.uplinks))
            raise NviError(f"--down {name}: {loaded.name} has no such uplink", hint=f"there are: {known}")


def _simulate(context: Context, loaded: LoadedSpec, capture: IO[bytes] | None, report: IO[str] | None) -> int:
    from nvi_operator.rollout.content import content_of
    from nvi_operator.simulate.shell import help_text, open_shell
    from nvi_operator.simulate.simulation import standing, try_out
    from nvi_operator.view.junit import junit_xml
    from nvi_operator.view.simulation import tried_cases, tried_json, tried_text

    arguments = context.arguments
    with standing(loaded.name, loaded.spec, capture, arguments.down) as gateway:
        tried = try_out(gateway, arguments.most, explain=arguments.explain)
        show(arguments, lambda: tried_json(tried), lambda width: tried_text(tried, width, full=arguments.verbose))
        if report is not None:
            with errors_named(arguments.junit):
                report.write(junit_xml(f"simulate {loaded.name}", list(tried_cases(tried))))
                report.flush()
        if arguments.shell:
            print(help_text(gateway), flush=True)
            open_shell(gateway, content_of(loaded, arguments.spec))
        return 1 if tried.failed else 0


def _options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--most",
        metavar="N",
        type=options.count,
        default=_MOST,
        help=f"try at most this many entries of each section, evenly chosen (default: {_MOST})",
    )
    parser.add_argument(
        "--down",
        metavar="UPLINK",
        action="append",
        default=[],
        help="this uplink does not work: its health probes get no answer (may be repeated)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print every packet, and what became of it")
    parser.add_argument(
        "--explain", action="store_true", help="hold what `nvictl explain` predicts of each packet against it as well"
    )
    parser.add_argument(
        "--junit", metavar="FILE", type=options.new_file, help="write the results as JUnit XML, for CI systems"
    )
    parser.add_argument(
        "--shell", action="store_true", help="then open a shell in the gateway; what was made ends with the shell"
    )
    parser.add_argument(
        "--pcap",
        metavar="FILE",
        type=options.new_file,
        help="write all frames into this file, for Wireshark or tcpdump",
    )


COMMAND = Command(
    "simulate",
    "try a spec with packets, on a gateway in network namespaces of its own; changes nothing on this host",
    (options.spec, options.output, _options),
    run,
    Exits("0 all packets as expected, 1 some not, 2 error", error=2),
)
