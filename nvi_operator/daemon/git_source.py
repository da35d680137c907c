"""A git source as the daemon follows it: it is fetched, proves that a gateway works, and answers `nvictl sync`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from nvi_operator.daemon.fetcher import Fetcher
from nvi_operator.daemon.proof import Proof
from nvi_operator.daemon.sync import Sync
from nvi_operator.events.event import GatewayEvent
from nvi_operator.history.decisions import DecisionsFile, PendingRevision
from nvi_operator.language.operator.git import GitSource, SignaturesSpec
from nvi_operator.reconcile.outcome import Reason
from nvi_operator.rollout.trial import Confirm
from nvi_operator.sources.git.checkouts import Checkouts

TRIAL_SECONDS = 300.0  # within which a testing branch's commit is to be confirmed, where no policy says otherwise


class FollowedGit:
    """Close it. `wake` wakes the loop, `exclusive` is the gateway's lock; `emit` gets what happens."""

    def __init__(
        self,
        source: GitSource,
        hostname: str,
        checkouts: Checkouts,
        decisions: DecisionsFile,
        *,
        exclusive: Callable[[], AbstractContextManager[None]],
        emit: Callable[[GatewayEvent], None],
        wake: Callable[[Reason], None],
        signatures: SignaturesSpec | None,
    ) -> None:
        """Raises SourceError or NviError where the directory or the hostname cannot be used."""
        self._checkouts = checkouts
        self._fetcher = fetcher = Fetcher(
            source, hostname, checkouts, emit, partial(wake, Reason.SOURCE), signatures=signatures
        )
        self._proof = Proof(
            decisions, exclusive, fetcher.reach, partial(wake, Reason.CONFIRM), lambda: fetcher.answered
        )
        self.stations = (fetcher, self._proof)
        self.sync = Sync(fetcher)

    def close(self) -> None:
        for station in self.stations:
            station.close()

    # ---------------------------------------------------------------- what the judge asks

    def trial(self) -> Confirm | None:
        """A testing branch is followed on trial."""
        found = self._checkouts.checkout()
        return Confirm(TRIAL_SECONDS) if found is not None and found.is_testing else None

    def was_reached(self) -> bool:
        return self._fetcher.state.fetched is not None

    def proven(self, pending: PendingRevision) -> bool:
        return self._proof.of(pending)
