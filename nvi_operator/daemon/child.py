"""A child process with a time limit that never blocks the loop: its ends are reported by a descriptor.

Its output goes into files in memory: no pipe can fill, and nothing has to be read while it runs.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import BinaryIO

MOST_OUTPUT = 16 << 20  # bytes; what writes more gets SIGXFSZ (setrlimit(2))


class Child:
    """Started at once, as the first of its own session, so that `kill` ends what it started. Raises OSError."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        data: bytes,
        *,
        limited: bool,
    ) -> None:
        self.killed = False
        self._output = _memory(b"")
        self._errors = _memory(b"")
        with _memory(data) as stdin:
            self._process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=self._output,
                stderr=self._errors,
                cwd="/",
                env=dict(environment),
                start_new_session=True,
            )
        if limited:
            with suppress(OSError):
                resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (MOST_OUTPUT, MOST_OUTPUT))
        self.pidfd = os.pidfd_open(self._process.pid)

    def kill(self) -> None:
        """Kill the process and everything that it started."""
        self.killed = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self) -> tuple[int, bytes, bytes]:
        """Exit code, output, errors. Only once `pidfd` is readable; closes everything."""
        code = self._process.wait()
        with suppress(ProcessLookupError):  # what it started and left behind
            os.killpg(self._process.pid, signal.SIGKILL)
        os.close(self.pidfd)
        texts = []
        for file in (self._output, self._errors):
            with file:
                file.seek(0)
                texts.append(file.read(MOST_OUTPUT))
        return code, texts[0], texts[1]


def _memory(data: bytes) -> BinaryIO:
    file = open(os.memfd_create("child", os.MFD_CLOEXEC), "w+b", buffering=0)  # noqa: SIM115
    file.write(data)
    file.seek(0)
    return file
