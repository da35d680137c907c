"""What a reconcile returns. Events, sd_notify and the watch for fights are made of it (`daemon/report.py`)."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError, SpecError
from nvi_operator.plan.change import NO_PLAN, Plan
from nvi_operator.sources.revision import CheckedOutCommit


class Reason(StrEnum):
    """Why a reconcile was due."""

    START = "start"
    DIRECTORY = "directory"  # the spec changed, or may have
    KERNEL = "kernel"
    OVERFLOW = "overflow"  # the kernel lost reports: anything may have changed
    TIMER = "timer"
    RETRY = "retry"  # the last reconcile failed, and waiting may have helped
    RELEASE = "release"  # an object that was paused is reconciled again
    SIGNAL = "signal"
    SOURCE = "source"  # a fetch brought another spec
    HEALTH = "health"  # probes found an uplink up or down
    CONFIRM = "confirm"  # the time to confirm a revision is over, or it was aborted
    COMMAND = "command"  # `nvictl apply` or `nvictl down`


@dataclass(frozen=True)
class Outcome:
    """One reconcile: why it was made, what it changed, what went wrong.

    The reconcile itself knows plan and request; the daemon or the command adds what only it knows.
    """

    gateway: str = ""  # "" before the first good spec, and for a gateway that is removed
    revision: CheckedOutCommit | None = None  # of the spec in force; None outside of a git checkout
    reasons: frozenset[Reason] = frozenset()
    plan: Plan = NO_PLAN  # the steps that were applied and stand
    requested: bool = True  # did the spec or the host's facts ask for another state than the last reconcile reached?
    changed_by: tuple[str, ...] = ()  # processes that changed the kernel since the last reconcile, as far as known
    errors: tuple[NviError, ...] = ()  # a wrong spec that is not in force, then what stopped the reconcile
    failed: bool = False  # did the last error stop it?
    notes: tuple[str, ...] = ()  # what a user should know about this gateway on this host, beyond errors
    seconds: float = 0.0
    left: Plan = NO_PLAN  # drift that the spec's policy only reports

    @property
    def drifted(self) -> bool:
        """Did it undo what others changed? Then neither the spec nor the facts asked for the steps."""
        return bool(self.plan) and not self.requested

    @property
    def healed(self) -> frozenset[str]:
        """The objects that had drifted, as `Ref` names them."""
        return self.plan.names if self.drifted else frozenset()

    @property
    def spec_error(self) -> SpecError | None:
        """Why the newest spec is not in force."""
        return next((error for error in self.errors if isinstance(error, SpecError)), None)

    @property
    def retryable(self) -> bool:
        """Can waiting help?"""
        return any(error.retryable for error in self.errors)

    @property
    def transient(self) -> bool:
        """May another process have changed something at the same moment, so that an immediate retry is worthwhile?"""
        return any(error.transient for error in self.errors)

    def raise_failure(self) -> None:
        """Raise the NviError that stopped the reconcile, if one did."""
        if self.failed:
            raise self.errors[-1]

    def remembered(self, last: Outcome) -> Outcome:
        """What to remember of it: a plan holds two states of the gateway, which may have 100,000 forwards.

        The topology stays, which names the entries that a later spec removes. A reconcile that was stopped has none:
        the last one stays.
        """
        left = replace(NO_PLAN, steps=self.left.steps)
        return replace(self, plan=replace(NO_PLAN, topology=self.plan.topology or last.plan.topology), left=left)
