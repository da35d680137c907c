"""The git revision of a spec. `git.py` asks for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Revision:
    """The commit that a spec directory is checked out at."""

    commit: str  # abbreviated
    branch: str | None  # None: a detached HEAD
    dirty: bool  # does the spec directory differ from the commit? The rest of the repository does not count

    def __str__(self) -> str:
        return f"{self.commit}{'+' if self.dirty else ''}{f' ({self.branch})' if self.branch else ''}"
