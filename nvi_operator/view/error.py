"""An error for programs. People read its text on stderr."""

from __future__ import annotations

from typing import Any

from nvi_operator.errors import NviError, SpecError


def error_json(error: NviError) -> dict[str, Any]:
    """The problems of a wrong spec one by one; `more` is the number of those that were only counted.

    It is the least number where `complete` is false: the rest was not checked.
    """
    data: dict[str, Any] = {"message": error.message, "hint": error.hint}
    if isinstance(error, SpecError):
        data["problems"] = [
            {
                "file": problem.position.file,
                "line": problem.position.line,
                "column": problem.position.column,
                "path": problem.path,
                "message": problem.message,
                "hint": problem.hint,
            }
            for problem in error.problems
        ]
        data["more"] = error.more
        data["complete"] = error.complete
    return {"error": data}
