"""`nvictl status --watch`: a screen that is drawn again, or lines of what changes where no terminal shows them."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from nvi_operator.cli.output import console, print_lines, rich_text, terminal_width
from nvi_operator.errors import NviError
from nvi_operator.view.events import event_text
from nvi_operator.view.segment import Piece, line, unstyled
from nvi_operator.view.status_text import headline, rates, status_text, uplink_words

if TYPE_CHECKING:
    from nvi_operator.view.status import StatusData

Look = Callable[[], "StatusData"]


def watch(arguments: Namespace, look: Look) -> int:
    """Until Ctrl-C, or until the reader of a pipe ends."""
    if arguments.output == "json":
        for data in _looks(look, arguments.every):
            print(json.dumps(data if isinstance(data, dict) else {"error": {"message": data.message}}), flush=True)
    elif sys.stdout.isatty():
        _screen(look, arguments.every)
    else:
        _lines(look, arguments.every)
    return 0


def _looks(look: Look, every: float) -> Iterator[StatusData | NviError]:
    """One now, and one each time that `every` seconds are over. An error is shown, and looking goes on."""
    due = time.monotonic()
    while True:
        try:
            yield look()
        except NviError as error:
            yield error
        due = max(due + every, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def _screen(look: Look, every: float) -> None:
    from rich.console import Group
    from rich.live import Live

    screen = console()
    last: tuple[float, StatusData] | None = None
    with Live(console=screen, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        for data in _looks(look, every):
            if isinstance(data, NviError):
                live.update(rich_text(line(f"nvictl: {data}", "red")), refresh=True)
                continue
            now = time.monotonic()
            speed = rates(last[1], data, now - last[0]) if last else {}
            data["events"] = data["events"][-5:]
            lines = fitted(list(status_text(data, terminal_width(), quiet=True, rates=speed)), screen.height)
            live.update(Group(*map(rich_text, lines)), refresh=True)
            last = now, data


def fitted(lines: list[Piece], height: int) -> list[Piece]:
    """As many of them as a screen holds; the last line says what is missing."""
    if len(lines) <= height:
        return lines
    return [*lines[: height - 1], line(f"... {len(lines) - height + 1} more lines (see nvictl status)", "dim")]


def _lines(look: Look, every: float) -> None:
    """Events from now on, and the state whenever it is another one."""
    told = ""
    heard: int | None = None
    for data in _looks(look, every):
        if isinstance(data, NviError):
            now = f"nvictl: {data.message}"
        else:
            for event in new_events(data, heard):
                print_lines(event_text(event, terminal_width()))
            heard = max((event["number"] for event in data["events"]), default=0)
            now = "; ".join([unstyled(headline(data)), *uplink_words(data)])
        if now != told:
            print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {now}")
            told = now
        sys.stdout.flush()


def new_events(data: StatusData, heard: int | None) -> list[dict[str, Any]]:
    """Events after number `heard`; None: at the first look nothing is new. After a restart of the daemon all are."""
    numbers = [event["number"] for event in data["events"]]
    if heard is None:
        return []
    restarted = bool(numbers) and numbers[-1] < heard
    return [event for event in data["events"] if restarted or event["number"] > heard]
