"""What the checks of a gateway say: for people as the problems of a spec, for programs as JSON, for CI as JUnit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nvi_operator.errors import Position, SpecProblem
from nvi_operator.invariants.result import InvariantResult, Violation
from nvi_operator.language.load.merge import Positions, dotted
from nvi_operator.language.wording import counted

if TYPE_CHECKING:
    from nvi_operator.explain.packet import Packet

MOST = 20  # findings of one result in text


def problems(results: Iterable[InvariantResult], where: Positions) -> Iterator[SpecProblem]:
    """Each finding, with its place; of one result the first."""
    for result in results:
        for finding in result.findings[:MOST]:
            yield problem_of(finding, where)
        if len(result.findings) > MOST:
            path = result.findings[MOST].path
            message = f"{result.name}: {counted(len(result.findings) - MOST, 'more finding')}"
            yield SpecProblem(where.find(path), dotted(path), message, "--junit FILE has all")


def undecided(results: Iterable[InvariantResult], where: Positions) -> Iterator[SpecProblem]:
    """The assertions that are neither true nor false: one that says nothing must not seem to hold."""
    for result in results:
        if result.path[1:2] == ("assert",):
            for unknown in result.unknown:
                source, written = where.written(unknown.path)
                yield SpecProblem(source.find(written), dotted(written), f"not decided: {unknown.message}")


def problem_of(finding: Violation, where: Positions) -> SpecProblem:
    source, written = where.written(finding.path)
    message = finding.message
    if finding.others:
        message += f" ({', '.join(str(where.find(other)) for other in finding.others[:MOST])})"
    if finding.packet is not None:
        message += f"; for example {example_words(finding.packet)}"
    return SpecProblem(source.find(written), dotted(written), message, finding.hint)


def example_words(packet: Packet) -> str:
    """The packet as `nvictl explain` takes it: `-i lan0 tcp 192.168.1.9:40000 to 192.0.2.80:443`."""
    from nvi_operator.explain.words import packet_words

    words = packet_words(packet)
    return f"-i {packet.in_interface} {words}" if packet.in_interface else words


def warning_lines(found: Iterable[SpecProblem]) -> Iterator[str]:
    """Warnings as compilers print them: `file:line:column: warning: ...`."""
    for problem in found:
        hint = f"\n  hint: {problem.hint}" if problem.hint else ""
        yield f"{problem.position}: warning: {problem.path}: {problem.message}{hint}"


def results_json(results: Sequence[InvariantResult], where: Positions) -> list[dict[str, Any]]:
    return [
        {
            "name": result.name,
            "what": result.what,
            "severity": result.severity,
            "holds": result.holds,
            "findings": [_finding_json(finding, where) for finding in result.findings],
            "unknown": [{**_place(where.find(u.path)), "message": u.message} for u in result.unknown],
        }
        for result in results
    ]


def _finding_json(finding: Violation, where: Positions) -> dict[str, Any]:
    return {
        **_place(where.find(finding.path)),
        "message": finding.message,
        "hint": finding.hint,
        "packet": example_words(finding.packet) if finding.packet else None,
        "others": [_place(where.find(other)) for other in finding.others],
    }


def _place(position: Position) -> dict[str, Any]:
    return {"file": position.file, "line": position.line, "column": position.column}
