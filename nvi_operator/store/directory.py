"""The operator's directory in /run, and files in it that only root can open, lock or replace.

Any user who can open a lock can hold it, and any user who can replace a file of settings can make root write them.
So each file is opened relative to the open directory, and its owner and kind are checked before it is used. Others
may pass through the directory, and neither list nor change it: the control socket is in it.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nvi_operator.errors import CapabilityError, ConflictError, KernelError

RUN = Path("/run/nvi-operator")
_MODE = 0o711

HINTS = {  # for errors of files, by errno
    errno.EPERM: "run as root, or use sudo",
    errno.EACCES: "run as root, or use sudo",
    errno.ENOSPC: "the disk is full: free some space; nothing was changed",
    errno.EROFS: "it is mounted read-only; a service needs RuntimeDirectory= and StateDirectory=nvi-operator",
    errno.EIO: "the disk fails: the kernel's log says more (dmesg)",
}


@contextmanager
def file_errors(what: str) -> Iterator[None]:
    """OSError becomes KernelError, or CapabilityError where rights are missing."""
    try:
        yield
    except OSError as error:
        made = CapabilityError if error.errno in (errno.EPERM, errno.EACCES) else KernelError
        text = f"{what}: {error.strerror or error}"
        raise made(text, hint=HINTS.get(error.errno or 0, "")) from error


def open_directory(path: Path, *, create: bool = True) -> int:
    """A descriptor of `path`, created if missing with mode 0711. FileNotFoundError if not `create`.

    Raises ConflictError if another user owns it.
    """
    if create:
        with suppress(FileExistsError):
            path.mkdir(mode=_MODE, parents=True)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _own(fd, path, stat.S_IFDIR, _MODE)
    except BaseException:
        os.close(fd)
        raise
    return fd


def open_file(path: Path, flags: int, *, create: bool = True) -> int:
    """A descriptor of a file in the operator's directory, closed at exec. FileNotFoundError if not `create`."""
    directory = open_directory(path.parent, create=create)
    try:
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_CREAT if create else 0)
        fd = os.open(path.name, flags, 0o600, dir_fd=directory)
    finally:
        os.close(directory)
    try:
        _own(fd, path, stat.S_IFREG, 0o600)
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_file(path: Path, most: int = -1) -> bytes:
    """Its first bytes, at most so many. FileNotFoundError where it does not exist; otherwise as `open_file`."""
    with open(open_file(path, os.O_RDONLY, create=False), "rb") as file:
        return file.read(most)


def write_file(path: Path, data: bytes, *, lasting: bool) -> None:
    """Replaces a file atomically, even if the process is killed; `lasting`: even if the machine loses power.

    What describes the running kernel need not be lasting: it ends with that.
    """
    directory = open_directory(path.parent)
    scratch = f".{path.name}.{os.urandom(8).hex()}"
    try:
        fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory)
        try:
            with open(fd, "wb") as file:
                file.write(data)
                if lasting:
                    file.flush()
                    os.fsync(fd)
            os.rename(scratch, path.name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with suppress(OSError):
                os.unlink(scratch, dir_fd=directory)
            raise
        if lasting:
            os.fsync(directory)
    finally:
        os.close(directory)


def damaged_name(path: Path) -> Path:
    """What a damaged file is renamed to, so that no earlier one is lost."""
    return path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")


def sweep(path: Path) -> None:
    """Remove scratch files that a killed writer of `path` left. Only for the holder of the lock."""
    with suppress(OSError):
        for left in path.parent.glob(f".{path.name}.*"):
            left.unlink()


def _own(fd: int, path: Path, kind: int, mode: int) -> None:
    """Checks kind and owner, and corrects a mode that an earlier version left too open. Raises ConflictError."""
    found = os.fstat(fd)
    if stat.S_IFMT(found.st_mode) != kind or found.st_uid != os.geteuid():
        what = "file" if kind == stat.S_IFREG else "directory"
        raise ConflictError(
            f"{path}: expected a plain {what} of user {os.geteuid()}: it is {stat.filemode(found.st_mode)} of user "
            f"{found.st_uid}",
            hint="find out who made it, and remove it",
        )
    if stat.S_IMODE(found.st_mode) != mode:
        os.fchmod(fd, mode)
