"""What the loop and a pass say to each other: why a pass is due, and what came of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nvi_operator.errors import NviError
from nvi_operator.kernel.netlink.events import Event


class Reason(StrEnum):
    """Why a pass is due."""

    START = "start"
    DIRECTORY = "directory"  # the spec changed, or looks as if it had
    KERNEL = "kernel"
    OVERFLOW = "overflow"  # the kernel could not tell all: anything may have changed
    TIMER = "timer"
    RETRY = "retry"  # the pass before failed, and waiting may have helped
    RELEASE = "release"  # an object that was left to someone else is ours to hold again
    SIGNAL = "signal"


_KERNELS_OWN = frozenset({Reason.KERNEL, Reason.OVERFLOW, Reason.RELEASE})


@dataclass(frozen=True)
class Wake:
    """Why a pass is made, what the kernel reported since the last, and what is to be left alone."""

    reasons: frozenset[Reason]
    events: tuple[Event, ...] = ()
    held: frozenset[str] = frozenset()  # names of objects, as in `PassResult.healed`
    half_saved: bool = False  # is a file of the spec open for writing?

    @property
    def reread(self) -> bool:
        """May the spec have changed? If not, it may just be in the middle of being saved."""
        return not self.half_saved and not self.reasons <= _KERNELS_OWN

    @property
    def changed_by(self) -> tuple[str, ...]:
        """The processes other than ours that changed the kernel, as far as it told."""
        return tuple(dict.fromkeys(event.who for event in self.events if event.who and not event.own))


@dataclass(frozen=True)
class PassResult:
    """What a pass did. `healed` holds what was changed though the spec was not: drift, undone."""

    changed: frozenset[str] = frozenset()
    healed: frozenset[str] = frozenset()
    errors: tuple[NviError, ...] = ()  # what went wrong
    failed: bool = False  # did the last of them stop the pass?
    status: str = ""  # one line, for `systemctl status`
