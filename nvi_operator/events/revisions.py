"""The events of revisions that are to be confirmed: what waits, what stays, what is given up.

`attempt` is their number in `nvictl history`, 0 where it is recorded in none; `revision` is the git revision, as in
every event.
"""

from __future__ import annotations

from nvi_operator.dataclass import dataclass
from nvi_operator.events.event import GatewayEvent, Level


@dataclass(frozen=True, kw_only=True)
class Pending(GatewayEvent):
    """A revision was applied, and is given up unless it is confirmed in time."""

    kind = "pending"
    level = Level.NOTICE
    attempt: int
    by: str  # hand or proof
    within: float  # seconds
    back: int  # the attempt that is returned to; 0: no gateway

    @property
    def text(self) -> str:
        proof = self.by == "proof"
        how, hand = ("waits for its source to answer", "or ") if proof else ("confirm", "")
        within = f"{how} within {self.within:g} s: {hand}nvictl confirm"
        return f"revision {self.attempt}: {within}; otherwise {way_back(self.back)}"


@dataclass(frozen=True, kw_only=True)
class Confirmed(GatewayEvent):
    """A revision that was pending stays. `by`: proof, or the user."""

    kind = "confirmed"
    level = Level.NOTICE
    attempt: int
    by: str

    @property
    def text(self) -> str:
        how = ": its source answers through the gateway" if self.by == "proof" else f" by {self.by}"
        return f"revision {self.attempt}: confirmed{how}"


@dataclass(frozen=True, kw_only=True)
class GivenUp(GatewayEvent):
    """A revision is not tried again until it changes, and an earlier one is in force."""

    kind = "given-up"
    level = Level.WARNING
    attempt: int
    why: str
    back: int  # as of Pending

    @property
    def text(self) -> str:
        return f"revision {self.attempt}: {self.why}: {way_back(self.back)}"


def way_back(revision: int) -> str:
    """What is returned to; 0: no gateway."""
    return f"back to revision {revision}" if revision else "no gateway, as before"
