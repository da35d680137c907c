"""Events as data: their words, their JSON, their history."""

from __future__ import annotations

import json
import re
from pathlib import Path

from nvi_operator.events.event import (
    Applied,
    GatewayEvent,
    InSync,
    Note,
    Paused,
    SourceFailed,
    SourceGood,
    UplinkDown,
)
from nvi_operator.events.kinds import EVENTS, KINDS
from nvi_operator.events.record import KEPT, EventLog, Record

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/events.md"


def test_a_record_is_stable_json_with_the_fields_of_its_kind() -> None:
    event = Paused(gateway="edge", object="rule x", heals=10, window=60.0, wait=60.0, changed_by=("ip (pid 7)",))
    data = json.loads(json.dumps(Record(3, 1_000_000_000.5, event).json()))
    assert data == {
        "number": 3,
        "time": "2001-09-09T01:46:40.500Z",
        "event": "paused",
        "level": "warning",
        "gateway": "edge",
        "revision": None,
        "summary": event.text,
        "text": event.text,
        "object": "rule x",
        "heals": 10,
        "window": 60.0,
        "wait": 60.0,
        "changedBy": ["ip (pid 7)"],
    }


def test_the_words_name_gateway_and_revision() -> None:
    event = Applied(gateway="edge", revision="a1b2c3d", entries=("+ x",), done="1 created", steps=1, seconds=0.01)
    assert event.text == "edge at a1b2c3d: changes\n+ x\nedge: applied and verified in 10 ms: 1 created: in sync"
    assert (
        UplinkDown(gateway="edge", uplink="isp-a", reason="no carrier").text == "edge: uplink isp-a: down: no carrier"
    )


def test_what_the_source_does_is_told_without_a_gateway() -> None:
    assert SourceGood(fetching=True).text == "the source works again"
    failed = SourceFailed(error="no answer", fetching=True)
    assert failed.summary == "the source failed; the last good one stays in force"


def test_a_history_numbers_events_and_keeps_the_last_ones() -> None:
    heard: list[Record] = []
    history = EventLog(lambda: 0.0)
    history.listeners.append(heard.append)
    for number in range(KEPT + 5):
        history.add(Note(note=str(number)))
    history.add(InSync())
    assert [record.number for record in history.last(2)] == [KEPT + 5, KEPT + 6]
    assert len(history.last(KEPT * 2)) == KEPT
    assert history.last(0) == ()
    assert len(heard) == KEPT + 6


def test_each_kind_of_event_has_one_name_and_stands_in_the_document() -> None:
    def leaves(cls: type[GatewayEvent]) -> set[type[GatewayEvent]]:
        return {cls, *(leaf for sub in cls.__subclasses__() for leaf in leaves(sub))}

    assert leaves(GatewayEvent) - {GatewayEvent} == set(EVENTS)
    assert len(set(KINDS)) == len(KINDS)
    rows = re.findall(r"^\| `([a-z-]+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(rows) == KINDS
