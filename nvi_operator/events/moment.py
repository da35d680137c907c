"""Moments as text. A module of its own: most commands need this, and no event."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(seconds: float) -> str:
    """RFC 3339, in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
