"""What was tried on one gateway, and what came of it."""

from __future__ import annotations

from nvi_operator.dataclass import dataclass
from nvi_operator.experiment.judge import ProbeResult
from nvi_operator.experiment.probe import Sampled


@dataclass(frozen=True)
class Tried:
    """`assumed` and `notes` say what the spec does not, and what it lacks."""

    gateway: str
    dataplane: str
    assumed: tuple[str, ...]
    notes: tuple[str, ...]
    sampled: tuple[Sampled, ...]
    results: tuple[ProbeResult, ...]

    @property
    def failed(self) -> tuple[ProbeResult, ...]:
        return tuple(result for result in self.results if not result.passed)
