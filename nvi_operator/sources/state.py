"""Which spec is good, bad, pending: a state machine. Pure: the time is always an argument, in seconds.

         save            writer closes the file, or takes too long
(in force) ----> pending ----> read ----> good: in force from now on
                                    `---> bad: the last good one stays in force
"""

from __future__ import annotations

from dataclasses import replace

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import SpecError
from nvi_operator.language.load.loader import LoadedSpec
from nvi_operator.sources.fingerprint import Fingerprint

PATIENCE = 10.0  # seconds without a change after which a file is read though a process has it open for writing
LONGEST_SAVE = 60.0  # seconds after which it is read in any case


@dataclass(frozen=True)
class PendingChange:
    """A change that a process is still writing. Nothing is read meanwhile: half a spec is another gateway."""

    fingerprint: Fingerprint
    files: tuple[str, ...]  # open for writing
    began: float
    changed: float  # when it changed last

    def is_overdue(self, now: float) -> bool:
        return now >= min(self.changed + PATIENCE, self.began + LONGEST_SAVE)


@dataclass(frozen=True)
class SpecState:
    """Good, bad and pending do not exclude each other: the last good spec is in force while a newer one is bad, and
    while the next change is pending.
    """

    good: LoadedSpec | None = None  # in force; None before the first
    bad: SpecError | None = None  # of the newest spec, if that is wrong
    pending: PendingChange | None = None

    def saving(self, found: Fingerprint, files: tuple[str, ...], now: float) -> SpecState:
        """A process is writing these files; `found` is what the directory holds so far."""
        last = self.pending
        if last is None:
            return replace(self, pending=PendingChange(found, files, now, now))
        changed = last.changed if last.fingerprint == found else now
        return replace(self, pending=PendingChange(found, files, last.began, changed))

    def saved(self) -> SpecState:
        """No process is writing any more, or it took too long: the directory may be read."""
        return replace(self, pending=None) if self.pending else self

    def loaded(self, spec: LoadedSpec) -> SpecState:
        return SpecState(good=spec, pending=self.pending)

    def refused(self, error: SpecError) -> SpecState:
        return replace(self, bad=error)

    def in_force(self) -> LoadedSpec:
        """The good spec. Before there is one, raises what is wrong with the newest."""
        if self.good is not None:
            return self.good
        assert self.bad is not None, "nothing was read yet"
        raise self.bad
