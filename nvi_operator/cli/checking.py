"""What `validate` and `plan` say of invariants and assertions."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nvi_operator.cli import options
from nvi_operator.cli.output import write_file

if TYPE_CHECKING:
    from nvi_operator.errors import SpecError
    from nvi_operator.explain.machine import Machine
    from nvi_operator.invariants.gateway import ResolvedGateway
    from nvi_operator.invariants.result import InvariantResult
    from nvi_operator.language.load.loader import LoadedSpec
    from nvi_operator.plan.change import Plan
    from nvi_operator.state.host import HostState
    from nvi_operator.topology.facts import Facts
    from nvi_operator.topology.model import Topology
    from nvi_operator.view.junit import Case


def junit(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--junit",
        metavar="FILE",
        type=options.new_file,
        help="write the result of each invariant and assertion as JUnit XML, for CI systems",
    )


def of_spec(loaded: LoadedSpec, *, thorough: bool) -> Sequence[InvariantResult]:
    """The checks of a gateway on a host that has all that its spec names."""
    from nvi_operator.invariants.check import check
    from nvi_operator.topology.assume import assume_working
    from nvi_operator.topology.resolve import resolve

    facts = assume_working(loaded.spec)
    return check(_gateway(loaded, resolve(loaded.name, loaded.spec, facts), facts), thorough=thorough)


def of_plan(loaded: LoadedSpec, plan: Plan, facts: Facts | None, *, thorough: bool) -> Sequence[InvariantResult]:
    """The same of this host, as it is now."""
    from nvi_operator.invariants.check import check

    if plan.topology is None or facts is None:
        return ()
    return check(_gateway(loaded, plan.topology, facts, plan.after), thorough=thorough)


def _gateway(
    loaded: LoadedSpec, topology: Topology, facts: Facts, desired: HostState | None = None
) -> ResolvedGateway:
    from nvi_operator.invariants.gateway import ResolvedGateway

    def machine() -> Machine:
        from nvi_operator.explain.surroundings import machine_of
        from nvi_operator.plan.compile import desired_state

        return machine_of(topology, desired or desired_state(topology), facts)

    return ResolvedGateway(loaded.spec, topology, machine, bool(facts.rules))


def report(loaded: LoadedSpec, results: Sequence[InvariantResult], file: Path | None) -> SpecError | None:
    """Warnings on stderr, all of it into `file`. The error to raise or to tell, where something fails."""
    from nvi_operator.errors import SpecError
    from nvi_operator.view.invariants import problems, undecided, warning_lines

    if file is not None:
        from nvi_operator.view.junit import junit_cases

        _write(file, loaded.name, tuple(junit_cases(results, loaded.where)))
    warnings = problems([result for result in results if result.severity == "warning"], loaded.where)
    for line in warning_lines((*warnings, *undecided(results, loaded.where))):
        print(line, file=sys.stderr)
    failed = tuple(problems([result for result in results if result.severity == "error"], loaded.where))
    return SpecError(failed) if failed else None


def report_all(
    hosts: Sequence[tuple[str, LoadedSpec, Sequence[InvariantResult]]], file: Path | None
) -> Iterator[SpecError]:
    """Report a spec on several hosts, each under the words for that host."""
    from dataclasses import replace

    if file is not None:
        from nvi_operator.view.junit import junit_cases

        cases = [
            replace(case, name=f"{host}: {case.name}")
            for host, loaded, results in hosts
            for case in junit_cases(results, loaded.where)
        ]
        _write(file, "", cases)
    for _, loaded, results in hosts:
        if error := report(loaded, results, None):
            yield error


def report_unreadable(error: SpecError, file: Path) -> None:
    from nvi_operator.view.junit import unreadable_cases

    _write(file, "", unreadable_cases(error))


def _write(file: Path, gateway: str, cases: Sequence[Case]) -> None:
    from nvi_operator.view.junit import junit_xml

    write_file(file, junit_xml(f"nvictl {gateway}".rstrip(), cases))
