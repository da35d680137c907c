"""Results of checks as JUnit XML, which CI systems show like those of tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import Position, SpecError, printable
from nvi_operator.invariants.result import InvariantResult
from nvi_operator.language.load.merge import Positions
from nvi_operator.view.invariants import problem_of


@dataclass(frozen=True)
class Case:
    """One test case. `failures`: why it failed; `notes`: what did not fail it; `skipped`: why it says nothing."""

    name: str
    position: Position | None = None
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: str = ""


def junit_xml(suite: str, cases: Sequence[Case]) -> str:
    """One suite. Names and texts may hold anything."""
    failed = sum(bool(case.failures) for case in cases)
    skipped = sum(bool(case.skipped and not case.failures) for case in cases)
    counts = f'tests="{len(cases)}" failures="{failed}" errors="0" skipped="{skipped}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites {counts}>",
        f"  <testsuite name={_quoted(suite)} {counts}>",
        *(line for case in cases for line in _case(suite, case)),
        "  </testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _case(suite: str, case: Case) -> Iterator[str]:
    place = f' file={_quoted(case.position.file)} line="{case.position.line}"' if case.position else ""
    inner = [*_failures(case), *_others(case)]
    head = f"    <testcase classname={_quoted(suite)} name={_quoted(case.name)}{place}"
    if not inner:
        yield f"{head}/>"
        return
    yield f"{head}>"
    yield from inner
    yield "    </testcase>"


def _failures(case: Case) -> Iterator[str]:
    """All failures in one element: some readers take the first only."""
    if case.failures:
        first = case.failures[0].splitlines()[0]
        text = "\n".join(case.failures)
        yield f"      <failure message={_quoted(first)}>{_escaped(text)}</failure>"


def _others(case: Case) -> Iterator[str]:
    if case.skipped and not case.failures:
        yield f"      <skipped message={_quoted(case.skipped)}/>"
    if case.notes:
        text = "\n".join(case.notes)
        yield f"      <system-out>{_escaped(text)}</system-out>"


def _quoted(text: str) -> str:
    return quoteattr(printable(text))


def _escaped(text: str) -> str:
    return escape("\n".join(map(printable, text.splitlines())))


# --------------------------------------------------------------------------- of checks


def junit_cases(results: Sequence[InvariantResult], where: Positions) -> Iterator[Case]:
    for result in results:
        found = tuple(str(problem_of(finding, where)) for finding in result.findings)
        unknown = tuple(f"{where.find(u.path)}: not decided: {u.message}" for u in result.unknown)
        failed = result.severity == "error"
        position = where.find(result.path) if len(result.path) > 1 else None
        yield Case(
            f"{result.name}: {result.what}",
            position,
            failures=found if failed else (),
            notes=(*(() if failed else found), *unknown),
            skipped=unknown[0] if unknown and not found else "",
        )


def unreadable_cases(error: SpecError) -> tuple[Case, ...]:
    """The cases of a spec in which nothing else could be checked."""
    first = error.problems[0].position if error.problems else None
    return (Case("spec: it is valid", first, failures=tuple(map(str, error.problems))),)
