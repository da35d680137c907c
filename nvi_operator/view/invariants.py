"""What the checks of a gateway say: for people as the problems of a spec, for programs as JSON, for CI as JUnit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nvi_operator.errors import Position, SpecError, SpecProblem
from nvi_operator.explain.packet import Packet
from nvi_operator.invariants.result import Finding, Result
from nvi_operator.language.load.merge import Positions, dotted
from nvi_operator.language.model.services import PROTOCOL_NAMES
from nvi_operator.language.wording import counted
from nvi_operator.view.junit import Case

MOST = 20  # findings of one result in text


def problems(results: Iterable[Result], where: Positions) -> Iterator[SpecProblem]:
    """Each finding, with its place; of one result the first."""
    for result in results:
        for finding in result.findings[:MOST]:
            yield _problem(finding, where)
        if len(result.findings) > MOST:
            path = result.findings[MOST].path
            message = f"{result.name}: {counted(len(result.findings) - MOST, 'more finding')}"
            yield SpecProblem(where.find(path), dotted(path), message, "--junit FILE has all")


def _problem(finding: Finding, where: Positions) -> SpecProblem:
    source, written = where.written(finding.path)
    message = finding.message
    if finding.others:
        message += f" ({', '.join(str(where.find(other)) for other in finding.others[:MOST])})"
    if finding.packet is not None:
        message += f"; for example {packet_words(finding.packet)}"
    return SpecProblem(source.find(written), dotted(written), message, finding.hint)


def packet_words(packet: Packet) -> str:
    """`tcp 192.168.1.9:40000 -> 192.0.2.80:443 in by lan0`"""
    protocol = PROTOCOL_NAMES.get(packet.protocol, f"protocol {packet.protocol}")
    ends = (packet.source, packet.source_port), (packet.destination, packet.destination_port)
    if packet.icmp_type is not None:
        ends = (packet.source, None), (packet.destination, None)
    source, destination = (_end(str(address), port) for address, port in ends)
    origin = f"in by {packet.in_interface}" if packet.in_interface else "of the gateway itself"
    return f"{protocol} {source} -> {destination} {origin}"


def _end(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def warning_lines(found: Iterable[SpecProblem]) -> Iterator[str]:
    """As compilers have them: `file:line:column: warning: ...`."""
    for problem in found:
        hint = f"\n  hint: {problem.hint}" if problem.hint else ""
        yield f"{problem.position}: warning: {problem.path}: {problem.message}{hint}"


def results_json(results: Sequence[Result], where: Positions) -> list[dict[str, Any]]:
    return [
        {
            "name": result.name,
            "what": result.what,
            "severity": result.severity,
            "holds": result.holds,
            "findings": [_finding_json(finding, where) for finding in result.findings],
            "unknown": list(result.unknown),
        }
        for result in results
    ]


def _finding_json(finding: Finding, where: Positions) -> dict[str, Any]:
    return {
        **_place(where.find(finding.path)),
        "message": finding.message,
        "hint": finding.hint,
        "packet": packet_words(finding.packet) if finding.packet else None,
        "others": [_place(where.find(other)) for other in finding.others],
    }


def _place(position: Position) -> dict[str, Any]:
    return {"file": position.file, "line": position.line, "column": position.column}


def junit_cases(results: Sequence[Result], where: Positions) -> Iterator[Case]:
    for result in results:
        found = tuple(str(_problem(finding, where)) for finding in result.findings)
        failed = result.severity == "error"
        position = where.find(result.path) if len(result.path) > 1 else None
        yield Case(
            f"{result.name}: {result.what}",
            position,
            failures=found if failed else (),
            notes=() if failed else found,
            skipped="; ".join(result.unknown) if result.unknown and not found else "",
        )


def unreadable_cases(error: SpecError) -> tuple[Case, ...]:
    """Of a spec in which nothing else could be checked."""
    first = error.problems[0].position if error.problems else None
    return (Case("spec: it is valid", first, failures=tuple(map(str, error.problems))),)
