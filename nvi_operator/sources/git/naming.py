"""What a commit's files are called to the user: `a1b2c3d:gateways/edge/gateway.yaml`, as git itself has it."""

from __future__ import annotations

from dataclasses import replace

from nvi_operator.errors import SpecError, SpecProblems
from nvi_operator.history.revision import Origin
from nvi_operator.sources.directory import SpecDirectory
from nvi_operator.sources.git.checkouts import Checkout, Checkouts
from nvi_operator.sources.git.refs import short_ref
from nvi_operator.sources.revision import CheckedOutCommit


class NotFetchedError(SpecError):
    """There is no spec yet."""

    def __init__(self, remote: str) -> None:
        super().__init__([])
        self.message = f"{remote}: not fetched yet: the first fetch is under way"


def revision_of(checkout: Checkout | None) -> CheckedOutCommit | None:
    """What the events call it, and what the history keeps of it."""
    if checkout is None:
        return None
    origin = Origin(checkout.commit, checkout.author, checkout.signer, checkout.remote, short_ref(checkout.ref))
    return CheckedOutCommit(checkout.commit[:7], short_ref(checkout.ref), dirty=False, origin=origin)


def fetched_directory(checkouts: Checkouts, remote: str, gateway: str | None, host: str | None) -> SpecDirectory:
    """The files that a git source wrote, with the names that they have in the repository."""
    return SpecDirectory(
        checkouts.spec,
        gateway,
        host,
        revision=lambda _: revision_of(checkouts.checkout()),
        explain=lambda error: in_the_repository(error, checkouts, remote),
    )


def in_the_repository(error: SpecError, checkouts: Checkouts, remote: str) -> SpecError:
    """The error with the names that the files have in the repository."""
    checkout = checkouts.checkout()
    if checkout is None:
        return NotFetchedError(remote)
    after = f"{checkout.commit[:7]}:{checkout.path}".removesuffix("/")
    return renamed(error, f"{checkouts.spec}", after, between="/" if checkout.path else "")


def renamed(error: SpecError, before: str, after: str, *, between: str) -> SpecError:
    """The error with directory `before` called `after`; `between` it and the names of its files."""

    def name(text: str) -> str:
        return text.replace(f"{before}/", f"{after}{between}").replace(before, after)

    problems = SpecProblems(
        replace(
            problem,
            position=replace(problem.position, file=name(problem.position.file)),
            message=name(problem.message),
            hint=name(problem.hint),
        )
        for problem in error.problems
    )
    problems.more, problems.complete = error.more, error.complete
    return SpecError(problems)
