"""`nvictl run` in a host of the laboratory."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.lab.command import Command, Interpreter
from tests.lab.net import Host, until


class Daemon:
    """A running reconciler, and its output since it was last read."""

    def __init__(self, host: Host, spec: Path | None, log: Path, *options: str, forked: bool = True) -> None:
        """`spec` None: `--config` among the options says where it comes from. Not `forked`: see `Interpreter`."""
        log.write_bytes(b"")
        self._shown = 0
        directory = [] if spec is None else [str(spec)]
        words = ["run", *directory, "--netns", host.netns, *options]
        self.process = Command(words, log) if forked else Interpreter(words, log)

    @property
    def text(self) -> str:
        """New output."""
        return self.process.text[self._shown :]

    def until(self, *words: str, seconds: float = 15.0) -> str:
        """Its new output, once that has all of `words`."""

        def complete() -> str:
            text = self.text
            if all(word in text for word in words):
                return text
            if self.process.code is not None:
                raise AssertionError(f"nvictl run ended with {self.process.code}: {text}")
            return ""

        try:
            text = until(complete, f"nvictl run says {words}", seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\nits output: {self.text}") from error
        self._shown += len(text)
        return text

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        self.process.send(with_signal)
        return self.process.wait(10)
