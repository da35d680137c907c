"""What a check says of a gateway: which invariants and assertions hold, and of the others why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.language.load.yaml_reader import Path

if TYPE_CHECKING:
    from nvi_operator.explain.packet import Packet
    from nvi_operator.explain.verdict import NotModelled

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Violation:
    """One thing for which it does not hold. `path` is where to look in the spec, `others` what it names as well.

    `packet` is one for which it does not hold, as it comes in.
    """

    path: Path
    message: str
    hint: str = ""
    packet: Packet | None = None
    others: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Unknown:
    """What could not be decided of it: `message` is a sentence."""

    path: Path
    message: str


def not_modelled(verdict: NotModelled) -> str:
    """Why a walk says nothing, as a sentence."""
    return f"not modelled: {verdict.what.value}{f' ({verdict.detail})' if verdict.detail else ''}"


@dataclass(frozen=True)
class InvariantResult:
    """One invariant or assertion. `name` never changes its meaning; `what` is a sentence that has to hold."""

    name: str
    what: str
    severity: Severity
    findings: tuple[Violation, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    path: Path = ("spec",)

    @property
    def holds(self) -> bool:
        return not self.findings
