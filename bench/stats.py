"""Numbers of rounds, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True)
class Summary:
    """The median of some rounds, the quartiles around it, and the extremes."""

    median: float
    low: float
    high: float
    minimum: float
    maximum: float
    rounds: int


def summary(values: Sequence[float]) -> Summary:
    """ValueError for none at all."""
    if not values:
        raise ValueError("a summary of no rounds")
    low, high = (values[0], values[0]) if len(values) == 1 else _quartiles(values)
    return Summary(median(values), low, high, min(values), max(values), len(values))


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    first, _, third = quantiles(values, n=4, method="inclusive")
    return first, third


def rotated(names: Sequence[str], number: int) -> list[str]:
    """The order of round `number`: each name is first, second ... equally often, and backwards every other time.

    So neither a slow drift of the machine nor the previous contestant changes a ratio.
    """
    at = number % len(names)
    turned = [*names[at:], *names[:at]]
    return turned if (number // len(names)) % 2 == 0 else turned[::-1]
