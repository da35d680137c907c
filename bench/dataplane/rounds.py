"""Rounds: in each every variant is measured once, in another order; ratios are within a round only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from bench.dataplane.bed import Bed
from bench.dataplane.kinds import Kind, Setting
from bench.stats import Summary, rotated, summary

_TRIAL = {"packet": 2048, "flow": 2048, "megabyte": 32}


@dataclass(frozen=True)
class Result:
    """The result of one variant under one kind of traffic."""

    kind: str
    variant: str
    cost: Summary  # nanoseconds of CPU per unit
    ratio: Summary  # of the rate to the base's in the same round: below 1 is slower
    costs: tuple[float, ...]


def measure(
    kind: Kind, beds: Mapping[str, Bed], base: str, setting: Setting, rounds: int, say: Callable[[str], None]
) -> list[Result]:
    """Raises kinds.NotMeasurableError for a variant that loses packets or does not translate them."""
    costs: dict[str, list[float]] = {name: [] for name in beds}
    with ExitStack() as stack:
        meters = {name: stack.enter_context(kind.ready(bed, setting)) for name, bed in beds.items()}
        for meter in meters.values():
            trial = meter(_TRIAL[kind.unit])
        trial = meters[base](_TRIAL[kind.unit])
        units = kind.units() if kind.units else max(_TRIAL[kind.unit], round(setting.seconds * 1e9 / trial.cpu))
        for number in range(rounds):
            for name in rotated(list(beds), number):
                costs[name].append(meters[name](units).cpu)
            say(f"{kind.name}: round {number + 1} of {rounds}")
    return [_result(kind.name, name, costs[name], costs[base]) for name in beds]


def _result(kind: str, name: str, costs: Sequence[float], base: Sequence[float]) -> Result:
    ratios = [ours / mine for mine, ours in zip(costs, base, strict=True)]
    return Result(kind, name, summary(costs), summary(ratios), tuple(costs))
