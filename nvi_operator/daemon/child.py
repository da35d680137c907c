"""A child process with a time limit that never blocks the loop: its ends are reported by a descriptor.

Its output goes into files in memory: no pipe can fill, and nothing has to be read while it runs. The files do not
grow: what writes more than they hold gets EPERM (memfd_create(2), F_SEAL_GROW).
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import BinaryIO

MOST_OUTPUT = 16 << 20  # bytes


class Child:
    """Started at once, as the first of its own session, so that `kill` ends what it started. Raises OSError.

    `limited`: no file that it writes may have more than MOST_OUTPUT bytes; it gets SIGXFSZ (setrlimit(2)).
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        data: bytes,
        *,
        limited: bool = False,
        most: int = MOST_OUTPUT,
    ) -> None:
        self.killed = False
        self._output = _memory(most=most)
        self._errors = _memory(most=most)
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

    def wait(self, *, leaves: bool = False) -> tuple[int, bytes, bytes]:
        """Exit code, output, errors. Only once `pidfd` is readable; closes everything. `leaves`: what it started and
        left behind goes on.
        """
        code = self._process.wait()
        if not leaves:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        os.close(self.pidfd)
        texts = []
        for file in (self._output, self._errors):
            with file:
                texts.append(os.pread(file.fileno(), file.tell(), 0))  # it has its position in common with the child
        return code, texts[0], texts[1]


def _memory(data: bytes = b"", most: int = 0) -> BinaryIO:
    file = open(os.memfd_create("child", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b", buffering=0)  # noqa: SIM115
    file.write(data)
    file.seek(0)
    if most:
        file.truncate(most)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return file
