"""Progress is shown to people who wait at a terminal, and to them alone."""

from __future__ import annotations

import io
import time
from contextlib import redirect_stderr

import pytest

from nvi_operator.cli.output import console
from nvi_operator.view import progress
from nvi_operator.view.progress import spinner

GONE = "\x1b[1A\x1b[2K"  # one line up, and that is cleared


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "SECONDS", 0.0)


def wait_for(text: str, terminal: Terminal) -> None:
    deadline = time.monotonic() + 30
    while text not in terminal.getvalue():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_progress_of_long_work_is_shown_and_removed() -> None:
    terminal = Terminal()
    with redirect_stderr(terminal), spinner("reading"):
        wait_for("reading", terminal)
    assert terminal.getvalue().endswith(GONE)


def test_what_is_quick_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS", 30.0)
    terminal = Terminal()
    with redirect_stderr(terminal), spinner("reading"):
        pass
    assert terminal.getvalue() == ""


def test_without_a_terminal_nothing_is_shown() -> None:
    log = io.StringIO()
    with redirect_stderr(log), spinner("reading"):
        time.sleep(0.05)
    assert log.getvalue() == ""


def test_it_goes_before_an_error_is_told() -> None:
    terminal = Terminal()

    def fail() -> None:
        with spinner("reading"):
            wait_for("reading", terminal)
            raise ValueError("wrong")

    with redirect_stderr(terminal), pytest.raises(ValueError, match="wrong"):
        fail()
    assert terminal.getvalue().endswith(GONE)


def test_what_is_shown_is_text_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("[fd00::80]:8443 of [/etc/nvi] :smile:")
    assert capsys.readouterr().out == "[fd00::80]:8443 of [/etc/nvi] :smile:\n"
