"""The git revision of a spec. `working_copy.py` asks git for it, and a git source knows it."""

from __future__ import annotations

from dataclasses import field

from nvi_operator.dataclass import dataclass
from nvi_operator.history.revision import Origin


@dataclass(frozen=True)
class CheckedOutCommit:
    """The commit that a spec directory is checked out at."""

    commit: str  # abbreviated
    branch: str | None  # None: a detached HEAD
    dirty: bool  # does the spec directory differ from the commit? The rest of the repository does not count
    origin: Origin | None = field(default=None, compare=False)  # more of the same, from a source that fetches

    @staticmethod
    def of(origin: Origin) -> CheckedOutCommit:
        """The commit as the history kept it."""
        commit = origin.commit.removesuffix("+")
        return CheckedOutCommit(commit[:7], origin.ref or None, dirty=commit != origin.commit, origin=origin)

    def __str__(self) -> str:
        return f"{self.commit}{'+' if self.dirty else ''}{f' ({self.branch})' if self.branch else ''}"
