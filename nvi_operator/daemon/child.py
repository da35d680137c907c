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
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

MOST_OUTPUT = 16 << 20  # bytes
_ROUNDS = 100  # of looking for what forks faster than it is stopped


class Child:
    """Started at once, as the first of its own session. Raises OSError.

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
        """Kill the process and what it started, in whatever session that is. What an ended descendant started is
        found where `subreaper.py` began the process.
        """
        self.killed = True
        _signal(self._process.pid, signal.SIGSTOP)  # what is stopped starts nothing, and adopts what it has started
        stopped = dict.fromkeys([self._process.pid])
        for _ in range(_ROUNDS):
            started = dict.fromkeys(pid for pid in _descendants(self._process.pid) if pid not in stopped)
            for pid in started:
                _signal(pid, signal.SIGSTOP)
            stopped |= started
            if not started:
                break
        for pid in reversed(stopped):  # children first: the end of their parent may wake them (_exit(2), SIGCONT)
            _signal(pid, signal.SIGKILL)
        self._kill_group()

    def wait(self, *, leaves: bool = False) -> tuple[int, bytes, bytes]:
        """Exit code, output, errors. Only once `pidfd` is readable; closes everything. `leaves`: what it started and
        left behind goes on.
        """
        code = self._process.wait()
        if not leaves:
            self._kill_group()
        os.close(self.pidfd)
        texts = []
        for file in (self._output, self._errors):
            with file:
                texts.append(os.pread(file.fileno(), file.tell(), 0))  # it has its position in common with the child
        return code, texts[0], texts[1]

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _descendants(pid: int) -> Iterator[int]:
    """Parents first, as /proc tells of them: the kernel need not tell children (CONFIG_PROC_CHILDREN)."""
    children = defaultdict[int, list[int]](list)
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            with suppress(OSError):
                children[int((each / "stat").read_bytes().rpartition(b")")[2].split()[1])].append(int(each.name))
    found = [pid]
    while found:
        for child in children.pop(found.pop(), ()):
            found.append(child)
            yield child


def _memory(data: bytes = b"", most: int = 0) -> BinaryIO:
    file = open(os.memfd_create("child", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b", buffering=0)  # noqa: SIM115
    file.write(data)
    file.seek(0)
    if most:
        file.truncate(most)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return file
