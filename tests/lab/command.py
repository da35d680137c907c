"""nvictl as a process of its own, forked from a server that has made its imports: they would be most of the time of a
command, and on an emulated machine most of the time of a test."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import forkserver
from pathlib import Path
from tempfile import TemporaryDirectory

from nvi_operator.history import store

ROOT = Path(__file__).resolve().parents[2]

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.lab.preloaded"])


def without_disk() -> None:
    """No test loses power, and /run, which is memory on a gateway, may be a slow disk here."""
    os.fsync = lambda fd: None
    store.SYNCHRONOUS = "OFF"


def start_server() -> None:
    """In the network namespace of the caller, which is that of all commands from then on."""
    forkserver.ensure_running()


TIMEOUT = 180.0  # seconds for any command: the first apply on an emulated CPU that others use takes more than 60


def nvictl(arguments: Sequence[str], *, timeout: float = TIMEOUT) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. AssertionError if that takes longer than `timeout` seconds."""
    with TemporaryDirectory(prefix="nvi-lab-") as scratch:
        streams = [Path(scratch) / name for name in ("stdout", "stderr")]
        process = _CONTEXT.Process(target=_main, args=(list(arguments), *map(str, streams)))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise AssertionError(f"nvictl {' '.join(arguments)}: not done after {timeout:g} s")
        output, errors = (stream.read_text(encoding="utf-8") for stream in streams)
        return subprocess.CompletedProcess(["nvictl", *arguments], process.exitcode, output, errors)


class Command:
    """An nvictl that has begun; what it prints goes into one file."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self._log = log
        log.touch()
        self._process = _CONTEXT.Process(target=_main, args=(list(arguments), str(log), str(log)))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def text(self) -> str:
        """What it printed up to now."""
        return self._log.read_text(encoding="utf-8")

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float = TIMEOUT) -> int:
        self._process.join(seconds)
        if self._process.exitcode is None:
            self._process.kill()
            raise AssertionError(f"not done after {seconds:g} s: {self.text}")
        return self._process.exitcode

    def send(self, number: signal.Signals) -> None:
        if self.code is None:
            os.kill(self.pid, number)


class Interpreter(Command):
    """The same in a Python of its own, which goes by the environment as it is now."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as file:
            self._started = subprocess.Popen(
                [sys.executable, "-m", "nvi_operator", *arguments], stdout=file, stderr=subprocess.STDOUT, cwd=ROOT
            )

    @property
    def pid(self) -> int:
        return self._started.pid

    @property
    def code(self) -> int | None:
        return self._started.poll()

    def wait(self, seconds: float = TIMEOUT) -> int:
        return self._started.wait(seconds)


def _main(arguments: list[str], stdout: str, stderr: str) -> None:
    from nvi_operator.cli import main

    os.chdir(ROOT)
    for path, number in ((stdout, 1), (stderr, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    sys.exit(main(arguments))
