"""Does an uplink work beyond its own wire? A fact about the host, which probes find out (`daemon/health.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True)
class UplinkHealth:
    """What the probes of one uplink say.

    `since` is the time of day (seconds since the epoch) at which the state began. `reason` says why, in a few words.
    unknown: no probe has ended yet, and the uplink counts as its link says.
    """

    state: Literal["up", "down", "unknown"] = "unknown"
    since: float = 0.0
    reason: str = ""


UNKNOWN = UplinkHealth()
NO_HEALTH: Mapping[str, UplinkHealth] = MappingProxyType({})
