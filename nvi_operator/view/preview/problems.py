"""What is wrong in the specs of a change, as forges show it beside the line.

Workflow commands of GitHub and Forgejo: https://docs.github.com/actions/reference/workflow-commands-for-github-actions;
what is escaped is of actions/toolkit, packages/core/src/command.ts. GitLab's report of code quality:
https://docs.gitlab.com/ci/testing/code_quality.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from nvi_operator.errors import NviError, Position, SpecError, SpecProblem
from nvi_operator.preview.model import Preview
from nvi_operator.view.preview.blocks import clean


def problems(preview: Preview) -> Iterator[SpecProblem]:
    """The problems of what would be in force."""
    for refused in preview.refused:
        if refused.is_base:
            continue
        if isinstance(refused.error, SpecError):
            yield from refused.error.problems
        else:
            yield SpecProblem(Position(refused.directory, 1, 1), "", refused.error.message, refused.error.hint)


def workflow_commands(preview: Preview) -> Iterator[str]:
    """`::error file=...,line=...,col=...::message`"""
    for problem in problems(preview):
        at = problem.position
        place = f"file={_property(at.file)},line={at.line},col={at.column}"
        yield f"::error {place}::{_data(_message(problem))}"


def code_quality(preview: Preview) -> list[dict[str, Any]]:
    """GitLab's report; a fingerprint tells one finding from another."""
    return [
        {
            "description": _message(problem),
            "check_name": "nvictl",
            "severity": "blocker",
            "fingerprint": hashlib.sha256(str(problem).encode()).hexdigest(),
            "location": {
                "path": clean(problem.position.file),
                "positions": {"begin": {"line": problem.position.line, "column": problem.position.column}},
            },
        }
        for problem in problems(preview)
    ]


def error_lines(preview: Preview) -> Iterator[str]:
    """The error as each command prints it."""
    for refused in preview.refused:
        if not refused.is_base:
            yield _told(refused.error)


def _told(error: NviError) -> str:
    return str(error) if isinstance(error, SpecError) else f"nvictl: {error}"


def _message(problem: SpecProblem) -> str:
    where = f"{problem.path}: " if problem.path else ""
    return clean(f"{where}{problem.message}{f' ({problem.hint})' if problem.hint else ''}")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(clean(text)).replace(":", "%3A").replace(",", "%2C")
