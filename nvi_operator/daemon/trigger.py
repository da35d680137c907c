"""What makes the daemon reconcile. Pure."""

from __future__ import annotations

from nvi_operator.dataclass import dataclass
from nvi_operator.kernel.netlink.events import Event
from nvi_operator.reconcile.outcome import Reason

_READ_NOTHING = frozenset({Reason.KERNEL, Reason.OVERFLOW, Reason.RELEASE, Reason.HEALTH, Reason.CONFIRM})
_LOOK_AT_EVERYTHING = frozenset({Reason.TIMER, Reason.OVERFLOW, Reason.RETRY, Reason.SIGNAL})


@dataclass(frozen=True)
class Trigger:
    """Why a reconcile is due, what the kernel reported since the last one, and what is to be left alone."""

    reasons: frozenset[Reason]
    events: tuple[Event, ...] = ()
    paused: frozenset[str] = frozenset()  # names of objects, as in `Outcome.healed`
    pending: bool = False  # is a process writing the spec?

    @property
    def reread(self) -> bool:
        """May the spec have changed? If not, it may just be in the middle of being saved."""
        return not self.pending and not self.reasons <= _READ_NOTHING

    @property
    def whole(self) -> bool:
        """Is everything in the kernel to be read, and not only what was reported as changed?"""
        return bool(self.reasons & _LOOK_AT_EVERYTHING)

    @property
    def changed_by(self) -> tuple[str, ...]:
        """Other processes that changed the kernel, as far as it reported them."""
        return tuple(dict.fromkeys(event.who for event in self.events if event.who and not event.own))
