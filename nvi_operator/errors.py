"""The one exception tree.

Every error a user can meet is one of these. The message reads *object: what failed: cause*, and `hint`
says what to do. An exception of a library is wrapped once, where `kernel/` or `language/` calls it, always
with ``raise ... from``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nvi_operator.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def printable(text: str) -> str:
    """Escapes what is not printable: names from outside must not move the cursor or imitate messages."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


class NviError(Exception):
    """Base of all errors of this package.

    `retryable` tells the daemon whether waiting can help, and `transient` that another process may have changed
    something at the same moment, so that it is worth trying again at once. `reverted`: it stopped an apply, and
    everything is as it was before.
    """

    retryable = False
    transient = False
    reverted = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


@dataclass(frozen=True, order=True)
class Position:
    """A place in a spec file; `line` and `column` count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{printable(self.file)}:{self.line}:{self.column}"


@dataclass(frozen=True)
class SpecProblem:
    """One thing that is wrong in a spec: where, at which path in the document, what, and what to do."""

    position: Position
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.position}: {printable(self.path)}: " if self.path else f"{self.position}: "
        return where + self.message + (f"\n  hint: {self.hint}" if self.hint else "")


class SpecProblems(list[SpecProblem]):
    """What is wrong in a spec. A wrong column is wrong in 200,000 rows: past the first 20, problems are only counted,
    and past 1,000 the rest is not checked.
    """

    MOST = 20
    MOST_COUNTED = 1000  # with those that are told

    def __init__(self, problems: Iterable[SpecProblem] = ()) -> None:
        super().__init__(problems)
        self.more: int = problems.more if isinstance(problems, SpecProblems) else 0
        self.complete: bool = problems.complete if isinstance(problems, SpecProblems) else True
        # How many are within entries that were left out since, so that what is left can be checked.
        self.confined: int = problems.confined if isinstance(problems, SpecProblems) else 0

    @property
    def total(self) -> int:
        return len(self) + self.more

    def is_full(self) -> bool:
        """Are there enough to tell? If so one more is counted, and need not be worked out."""
        full = len(self) >= self.MOST
        self.more += full
        return full

    def is_enough(self) -> bool:
        """Are enough counted to skip the rest? If so, `complete` is cleared: call it only if there is a rest."""
        enough = self.total >= self.MOST_COUNTED
        self.complete = self.complete and not enough
        return enough

    def add(self, error: SpecError) -> None:
        """All of an error."""
        for problem in error.problems:
            if not self.is_full():
                self.append(problem)
        self.more += error.more
        self.complete = self.complete and error.complete


class SpecError(NviError):
    """The spec is wrong. Holds the problems found, in file order, and tells the first; nothing was changed."""

    def __init__(self, problems: Sequence[SpecProblem]) -> None:
        self.problems = tuple(problems)
        self.more = problems.more if isinstance(problems, SpecProblems) else 0  # that were only counted
        self.complete = problems.complete if isinstance(problems, SpecProblems) else True  # were all of them counted?
        told = [str(problem) for problem in self.problems[: SpecProblems.MOST]]
        if untold := len(self.problems) - len(told) + self.more:
            more = f"{untold} more problem{'' if untold == 1 else 's'}"
            told.append(f"... and {more}" if self.complete else f"... and at least {more}; the rest was not checked")
        super().__init__("\n".join(told))


class SourceError(NviError):
    """The spec cannot be fetched, or what was fetched is refused; the one in force stays."""

    retryable = True


class RefusedError(SourceError):
    """What was fetched is refused; waiting does not help."""

    retryable = False


class ConflictError(NviError):
    """A foreign object is in the place of an owned one; the operator never changes it."""


class LockOutError(ConflictError):
    """The change would cut the gateway off from where it is managed; nothing was changed."""


class BusyError(NviError):
    """Another process is changing this gateway, and did not end in time; nothing was changed."""

    retryable = True


class CapabilityError(NviError):
    """This machine, kernel or user cannot do what is needed."""


class BuildError(NviError):
    """The kernel module does not compile. Holds the compiler's last lines."""


class KernelError(NviError):
    """The kernel refused an operation."""

    retryable = True

    def __init__(self, message: str, *, hint: str = "", transient: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.transient = transient or self.transient


class NftCrashedError(KernelError):
    """libnftables gave no usable answer: its process died, did not answer in time, or answered with rubbish."""


class ConcurrentChangeError(KernelError):
    """Another process changed what the plan was made for; nothing of this change was applied."""

    transient = True


class VerifyError(NviError):
    """After an apply the kernel does not hold the desired state."""

    retryable = True
    transient = True


class RevertError(NviError):
    """An apply failed, and so did its revert: the gateway is in between. It still fails closed."""

    retryable = True
    transient = True
