"""From the answers of probes to the state of an uplink. Pure: time is an argument, and a state is a value.

target   works    -> fails   `down` probes in a row without an answer, or too much loss or latency over the window
         fails    -> works   `up` answers in a row, and loss and latency at four fifths of their limits at most
         unknown  -> works   the first answer
whole    up       -> down    fewer than `quorum` targets may still work
         down     -> up      `quorum` targets work, and `holdDown` seconds have passed since it went down
         unknown  -> either  as soon as the targets decide it

An edit of the probes changes neither, but for what the targets that stay decide by the new numbers (`edited`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.health import Health
from nvi_operator.topology.health import ProbedState, State

_RETURN = 0.8  # of a limit, so that a value at the limit does not move flows to and fro


class TargetState(NamedTuple):  # a new one for each probe: a dataclass takes three times as long to make
    """`works` is None before it is known; `window` has the last answers in seconds, None for one that was lost."""

    works: bool | None = None
    answers: int = 0  # in a row
    losses: int = 0
    window: tuple[float | None, ...] = ()
    reason: str = ""  # why it fails

    @property
    def loss(self) -> float:
        """Percent of the window."""
        return 100.0 * self.window.count(None) / len(self.window) if self.window else 0.0

    @property
    def latency(self) -> float | None:
        """Milliseconds on average; None without an answer."""
        answered = [seconds for seconds in self.window if seconds is not None]
        return 1000.0 * sum(answered) / len(answered) if answered else None

    def after(self, latency: float | None, why: str, health: Health) -> TargetState:
        """A probe was answered within `latency` seconds, or lost, for the reason `why`."""
        lost = latency is None
        answers, losses = (0, self.losses + 1) if lost else (self.answers + 1, 0)
        seen = TargetState(self.works, answers, losses, (*self.window, latency)[-health.window :], self.reason)
        if lost and losses >= health.down:
            return seen._replace(works=False, reason=why)
        excess = _excess(seen, health, 1.0 if self.works else _RETURN)
        if excess and self.works is not None:
            return seen._replace(works=False, reason=excess)
        if not lost and not self.works and (self.works is None or answers >= health.up):
            return seen._replace(works=True, reason="")
        return seen


def _excess(seen: TargetState, health: Health, part: float) -> str:
    """Which limit is exceeded, once the window is full."""
    if health.max_loss is None and health.max_latency is None:
        return ""
    if len(seen.window) < health.window:
        return ""
    if health.max_loss is not None and seen.loss > health.max_loss * part:
        return f"{seen.loss:.0f} % loss"
    latency = seen.latency
    if health.max_latency is not None and latency is not None and latency > health.max_latency * part:
        return f"{latency:.0f} ms latency"
    return ""


@dataclass(frozen=True)
class HealthState:
    """One uplink, or one server, with its targets in the order of its probes. `since` is by the clock of `now`."""

    targets: tuple[TargetState, ...]
    state: State = "unknown"
    since: float = 0.0
    reason: str = ""

    @staticmethod
    def initial(health: Health, now: float) -> HealthState:
        return HealthState((TargetState(),) * len(health.probes), since=now)

    def probed(self, now: float, day: float) -> ProbedState:
        """The same by the time of day. `now` and `day`: one moment, by the clock of `since` and by that."""
        return ProbedState(self.state, round(day - (now - self.since), 3), self.reason)

    def after(self, target: int, latency: float | None, now: float, health: Health, why: str = "") -> HealthState:
        """The probe of a target was answered within `latency` seconds, or lost (None), for the reason `why`."""
        targets = list(self.targets)
        before = targets[target].works
        targets[target] = targets[target].after(latency, why, health)
        seen = HealthState(tuple(targets), self.state, self.since, self.reason)
        if self.state == "up" and targets[target].works == before:
            return seen
        return seen._judged(now, health)

    def edited(self, before: Health, health: Health, now: float) -> HealthState:
        """The spec has other probes, or judges by other numbers. A target that is asked as before stays as it is, and
        the whole until its targets decide otherwise: an edit during an outage moves no flow to what is down.
        """
        known = dict(zip(before.probes, self.targets, strict=True))
        targets = tuple(known.get(probe, TargetState()) for probe in health.probes)
        return replace(self, targets=targets)._judged(now, health)

    def _judged(self, now: float, health: Health) -> HealthState:
        work = sum(target.works is True for target in self.targets)
        fail = sum(target.works is False for target in self.targets)
        if self.state != "down" and len(self.targets) - fail < health.quorum:
            return replace(self, state="down", since=now, reason=_reason(self.targets, health))
        held = self.state == "down" and now < self.since + health.hold_down
        if self.state != "up" and work >= health.quorum and not held:
            return replace(self, state="up", since=now, reason="")
        return self


def _reason(targets: tuple[TargetState, ...], health: Health) -> str:
    failing = [(probe, t) for probe, t in zip(health.probes, targets, strict=True) if t.works is False]
    shown = ", ".join(f"{probe}: {target.reason or 'no answer'}" for probe, target in failing[:3])
    return shown + (f", and {len(failing) - 3} more" if len(failing) > 3 else "")
