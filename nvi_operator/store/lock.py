"""One lock file for each network namespace: which process runs the gateway, and which is changing it.

Two ranges of bytes are locked, each by at most one process (open file description locks, fcntl(2)):

    instance   `nvictl run`, for as long as it runs: two would undo each other's changes
    change     whatever changes a gateway, from observe to the end of verify or revert

The bytes of a range say who holds it. The kernel frees it when the last process that shares the descriptor has
ended, however it ended. libnftables' process shares it, so that nothing is committed after the lock is free.

A file is removed only by the holder of both ranges; whoever waited for it finds that it has no name any more, and
opens the new one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import BusyError, ConflictError, printable
from nvi_operator.store.directory import RUN, file_errors, open_file

WAIT = 30.0  # seconds that a command waits, unless it is told otherwise
_RECORD = 4096  # bytes of a range
_TELL_AFTER = 0.2  # seconds of waiting; most waits are shorter
_PAUSES = (0.002, 0.1)  # seconds between attempts: from, to
_LINGERING = 2.0  # seconds for which the process of libnftables may outlive a daemon that was killed
_FLOCK = "@hhqqi0q"  # struct flock: type, whence, start, length, pid


class LockRange(Enum):
    """Parts of the lock file: INSTANCE is held by a daemon, CHANGE by whoever changes the gateway."""

    INSTANCE = 0
    CHANGE = 1


@dataclass(frozen=True)
class Holder:
    """The process that has a lock."""

    command: str
    pid: int

    def __str__(self) -> str:
        return f"{self.command} (pid {self.pid})"

    @property
    def has_ended(self) -> bool:
        """Is the process gone? Then one that it shared the lock with still holds it."""
        return self.pid != 0 and not Path("/proc", str(self.pid)).exists()


def _silent(text: str) -> None:
    """Discards the text."""


class GatewayLock:
    """Lock of the namespace with this SO_NETNS_COOKIE, for one process that calls itself `command`. Not thread-safe.

    `wait`: seconds to wait for another change. `alone`: refuse to change anything while another process's instance
    runs. `say` gets a line that names the process waited for.
    """

    def __init__(
        self,
        cookie: int,
        command: str,
        *,
        wait: float = WAIT,
        alone: bool = False,
        say: Callable[[str], None] = _silent,
        directory: Path = RUN,
    ) -> None:
        self._path = directory / f"lock-{cookie}"
        self._command = printable(command)
        self._wait = wait
        self._alone = alone
        self._say = say
        self._fd: int | None = None
        self._depth = 0  # of `changing` within `changing`

    def close(self) -> None:
        """Releases the locks; a process that shares the descriptor keeps them."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def shared(self) -> tuple[int, ...]:
        """Descriptors for a worker to inherit; empty before the file is open."""
        return () if self._fd is None else (self._fd,)

    def open(self) -> int:
        """The file's descriptor. ConflictError if it is another user's."""
        if self._fd is None:
            with file_errors(f"{self._path}: opening the lock"):
                self._fd = open_file(self._path, os.O_RDWR)
        return self._fd

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Within, no other process changes this gateway.

        BusyError after `wait` seconds; ConflictError if an instance runs and we have to be alone.
        """
        if not self._depth:
            self.refuse_instance()
            self._acquire()
        self._depth += 1
        try:
            if self._depth == 1:
                self.refuse_instance()  # one may have started during the wait
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._release(LockRange.CHANGE)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within, this process is the instance. ConflictError if another is."""
        if other := self._when_ended(self._other_instance):
            raise ConflictError(
                f"gateway: {other} is already running in this network namespace",
                hint="stop that one first; two would undo each other's changes",
            )
        try:
            yield
        finally:
            self._release(LockRange.INSTANCE)

    def instance(self) -> Holder | None:
        """The other process that runs this gateway now; None if there is none."""
        with file_errors(f"{self._path}: reading its holder"):
            if not self._is_there():
                return None
            answer = fcntl.fcntl(self.open(), fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, LockRange.INSTANCE))
        free = struct.unpack(_FLOCK, answer)[0] == fcntl.F_UNLCK
        return None if free else self._holder(LockRange.INSTANCE)

    def _other_instance(self) -> Holder | None:
        """None once this process is the instance."""
        return None if self._try(LockRange.INSTANCE) else self._holder(LockRange.INSTANCE)

    def _when_ended(self, found: Callable[[], Holder | None]) -> Holder | None:
        """Who is `found` to be the instance. Where that has ended, what shared the lock with it may still end."""
        deadline = time.monotonic() + _LINGERING
        while (other := found()) and other.has_ended and time.monotonic() < deadline:
            time.sleep(_PAUSES[1])
        return other

    def _is_there(self) -> bool:
        """Opens the file, but makes none. Raises OSError."""
        if self._fd is None:
            try:
                self._fd = open_file(self._path, os.O_RDWR, create=False)
            except FileNotFoundError:
                return False
        return True

    def refuse_instance(self) -> None:
        """ConflictError if an instance runs and we have to be alone."""
        if self._alone and (found := self._when_ended(self.instance)):
            raise ConflictError(
                f"gateway: {found} is running: it would restore at once what is removed",
                hint=f"stop it first: systemctl stop nvi-operator, or kill {found.pid}",
            )

    def _acquire(self) -> None:
        began, told, pause = time.monotonic(), False, _PAUSES[0]
        while not self._try(LockRange.CHANGE):
            waited = time.monotonic() - began
            if waited >= self._wait:
                raise BusyError(
                    f"gateway: waited {self._wait:g} s for {self._holder(LockRange.CHANGE)}, which is changing it",
                    hint="wait for it to end; --wait SECONDS waits longer. Nothing was changed",
                )
            if waited >= _TELL_AFTER and not told:
                self._say(f"waiting for {self._holder(LockRange.CHANGE)}, at most {self._wait:g} s")
                told = True
            time.sleep(min(pause, self._wait - waited))
            pause = min(2 * pause, _PAUSES[1])

    def _try(self, what: LockRange) -> bool:
        with file_errors(f"{self._path}: locking"):
            while True:
                fd = self.open()
                try:
                    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK, what))
                except OSError as error:
                    if error.errno in (errno.EAGAIN, errno.EACCES):
                        return False
                    raise
                if self._has_name(fd):
                    break
                self.close()  # it was removed meanwhile
            self._record(what.value, f"{os.getpid()} {self._command}".encode())
        return True

    def _has_name(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.lstat(self._path))
        except FileNotFoundError:
            return False

    def remove(self) -> bool:
        """Remove the file, unless another process holds it: the next one to lock makes another."""
        if not (self._try(LockRange.CHANGE) and self._try(LockRange.INSTANCE)):
            return False
        with file_errors(f"{self._path}: removing"):
            self._path.unlink()
        self.close()
        return True

    def _release(self, what: LockRange) -> None:
        if self._fd is not None:
            with file_errors(f"{self._path}: unlocking"):
                self._record(what.value, b"")
                fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, what))

    def _record(self, place: int, text: bytes) -> None:
        os.pwrite(self.open(), text[: _RECORD - 1] + b"\0", place * _RECORD)

    def _recorded(self, place: int) -> str:
        with file_errors(f"{self._path}: reading its holder"):
            text = os.pread(self.open(), _RECORD, place * _RECORD)
        return text.partition(b"\0")[0].decode(errors="replace")

    def _holder(self, what: LockRange) -> Holder:
        pid, _, command = self._recorded(what.value).partition(" ")
        return Holder(command or "a process that has just begun", int(pid) if pid.isdecimal() else 0)


def _flock(kind: int, what: LockRange) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, what.value * _RECORD, _RECORD, 0)
