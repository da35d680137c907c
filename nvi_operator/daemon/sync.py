"""`nvictl sync`: fetch now, and tell what came of it, the reconcile included."""

from __future__ import annotations

from typing import Any

from nvi_operator.daemon.control.server import Later
from nvi_operator.daemon.fetcher import Fetcher
from nvi_operator.daemon.trigger import Trigger
from nvi_operator.errors import NviError
from nvi_operator.events.moment import iso
from nvi_operator.reconcile.outcome import Outcome, Reason
from nvi_operator.sources.git.refs import short_ref
from nvi_operator.view.plan import done
from nvi_operator.view.status import SourceStatus


class Sync:
    """Follows the git source of a daemon."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._waiting: list[Later] = []  # for the reconcile of what was fetched

    def ask(self) -> Later:
        """Fetch now. The answer comes after the reconcile, if there is anything new."""
        later = Later()

        def fetched(new: bool, error: NviError | None) -> None:
            if error is not None:
                later.tell(error)
            elif new:
                self._waiting.append(later)
            else:
                later.tell({**self._source(), "changed": False, "errors": []})

        self._fetcher.sync(fetched)
        return later

    def reconciled(self, trigger: Trigger, outcome: Outcome) -> None:
        """A reconcile ended."""
        if Reason.SOURCE not in trigger.reasons:
            return
        waiting, self._waiting = self._waiting, []
        answer = {
            **self._source(),
            "changed": True,
            "applied": done(outcome.plan) if outcome.plan else "",
            "seconds": round(outcome.seconds, 6),
            "errors": [str(error) for error in outcome.errors],
        }
        for later in waiting:
            later.tell(answer)

    def status(self) -> SourceStatus:
        state = self._fetcher.state
        found = state.checkout
        return {
            "remote": state.remote,
            "ref": short_ref(found.ref) if found else state.ref,
            "commit": found.commit if found else None,
            "author": found.author if found else None,
            "signer": (found.signer or None) if found else None,
            "subject": found.subject if found else None,
            "fetched": iso(state.fetched) if state.fetched is not None else None,
            "error": str(state.error) if state.error else None,
        }

    def _source(self) -> dict[str, Any]:
        return {"source": self.status()}
