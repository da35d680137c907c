"""Every kind of event, in the order of docs/events.md."""

from __future__ import annotations

from nvi_operator.events.event import (
    Applied,
    Drift,
    Failed,
    Fetched,
    GatewayEvent,
    Healed,
    HookFailed,
    InSync,
    Lease,
    Note,
    Paused,
    Resumed,
    Reverted,
    ServerDown,
    ServerUp,
    SourceFailed,
    SourceGood,
    Stranded,
    Unwatched,
    UplinkDown,
    UplinkUp,
)
from nvi_operator.events.revisions import Confirmed, GivenUp, Pending

EVENTS: tuple[type[GatewayEvent], ...] = (
    InSync,
    Applied,
    Drift,
    Healed,
    Failed,
    Reverted,
    SourceFailed,
    SourceGood,
    Fetched,
    Pending,
    Confirmed,
    GivenUp,
    Unwatched,
    Note,
    Paused,
    Resumed,
    UplinkDown,
    UplinkUp,
    ServerDown,
    ServerUp,
    Lease,
    Stranded,
    HookFailed,
)
KINDS = tuple(event.kind for event in EVENTS)
