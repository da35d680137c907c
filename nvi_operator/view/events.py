"""Events as lines: of docs/events.md's JSON, as the control socket sends it. Light."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from nvi_operator.view.segment import Piece, Segment
from nvi_operator.view.table import labelled, signed

_STYLES = {"error": "red", "warning": "yellow", "notice": "", "info": "dim"}


def event_text(event: Mapping[str, Any], width: int | None) -> Iterator[Piece]:
    """`2026-11-28 17:00:02 uplink-down    edge: uplink isp-a: down: ...`, and further lines below, indented."""
    moment = datetime.fromisoformat(event["time"]).astimezone()
    head, *rest = event["text"].splitlines() or [""]
    style = _STYLES.get(event["level"], "")
    when, what = f"{moment:%Y-%m-%d %H:%M:%S} ", f"{event['event']:<13} "
    yield from labelled((Segment(when), Segment(what, "bold")), head, width, style)
    for further in rest:
        yield from signed(further, width, style, indent="    ")


def event_json(event: Mapping[str, Any]) -> str:
    """One line."""
    return json.dumps(event, separators=(",", ":"))
