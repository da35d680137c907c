"""`nvictl events`: an event on a terminal of 80 columns, and in a pipe."""

from __future__ import annotations

from nvi_operator.view.events import event_text
from tests.unit.view.lines import lines_of

CHANGE = "~ forward web: 444/tcp on isp-a, isp-b now goes to 192.168.1.80:8443; 443/tcp on isp-a no longer goes there"
EVENT = {
    "time": "2026-11-28T16:40:02.118Z",
    "event": "applied",
    "level": "notice",
    "text": f"edge: what the spec asks for has changed, and the kernel holds it now\n{CHANGE}\nedge: in sync",
}


def test_words_of_an_event_are_not_broken_and_a_change_hangs_behind_its_sign() -> None:
    head, more, *changes, last = lines_of(event_text(EVENT, 80))
    assert head[20:] == "applied       edge: what the spec asks for has changed, and"
    assert more == " " * 34 + "the kernel holds it now"
    assert [line[:6] for line in changes] == ["    ~ ", "      "]
    assert " ".join(line.strip() for line in changes) == CHANGE
    assert last == "    edge: in sync"


def test_in_a_pipe_each_line_of_an_event_is_one() -> None:
    assert lines_of(event_text(EVENT, None))[1:] == [f"    {CHANGE}", "    edge: in sync"]
