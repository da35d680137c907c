"""Network namespaces: the calling thread enters one, and may come back."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import glob
from pathlib import Path

from nvi_operator.errors import CapabilityError, KernelError, NviError
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.pattern import pattern

RUN = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_FIRST_PIDS = "pid:[4026531836]"  # PROC_PID_INIT_INO, include/linux/proc_ns.h
_ESCAPED = pattern(r"\\([0-7]{3})")  # in mountinfo
_SO_NETNS_COOKIE = 71  # include/uapi/asm-generic/socket.h, since 5.14


def enter(name: str) -> None:
    """Move the calling thread into the namespace `ip netns` calls `name`. Raises NviError."""
    path = RUN / name
    if "/" in name or not os.path.isfile(path):
        known = sorted(entry.name for entry in RUN.iterdir()) if RUN.is_dir() else []
        raise NviError(
            f"namespace {name}: entering it: no such namespace",
            hint=f"there are: {', '.join(known)}" if known else "`ip netns add NAME` makes one",
        )
    with kernel_errors(f"namespace {name}: opening"), path.open("rb") as file:
        _setns(file.fileno(), f"namespace {name}: entering")


@contextmanager
def entered(name: str | None) -> Iterator[None]:
    """Within, the calling thread is in the namespace; None stays where it is."""
    if name is None:
        yield
        return
    with open("/proc/thread-self/ns/net", "rb") as before:
        enter(name)
        try:
            yield
        finally:
            _setns(before.fileno(), "the namespace before: going back")


@contextmanager
def within(fd: int) -> Iterator[None]:
    """Within, the calling thread is in the namespace of this descriptor."""
    with open("/proc/thread-self/ns/net", "rb") as before:
        _setns(fd, "namespace: entering")
        try:
            yield
        finally:
            _setns(before.fileno(), "the namespace before: going back")


def unshare() -> None:
    """Move the calling thread into a new namespace without a name, which ends with what is in it. CapabilityError."""
    libc = ctypes.CDLL(None, use_errno=True)
    with kernel_errors("namespace: making"):
        if libc.unshare(_CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def create() -> int:
    """A descriptor of a new namespace, which ends when the last one, and the last socket in it, is closed."""
    with open("/proc/thread-self/ns/net", "rb") as before:
        unshare()
        try:
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _setns(before.fileno(), "the namespace before: going back")


def _setns(fd: int, what: str) -> None:
    """Not os.setns: Python has it from 3.12 on only."""
    libc = ctypes.CDLL(None, use_errno=True)
    with kernel_errors(what):
        if libc.setns(fd, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def living() -> frozenset[int]:
    """The cookies of the namespaces that a thread is in, or that a mount or a descriptor keeps. Enters each of them.

    Not those that only a socket keeps (SIOCGSKNS): no process can be said to be there; nor those that only a
    descriptor keeps, of a process into which this one may not look. KernelError where one cannot be entered, and in a
    container, where processes of others are hidden: then nothing is known to be gone.
    """
    if _link("/proc/self/ns/pid") != _FIRST_PIDS:
        raise KernelError("namespaces: listing: processes of others are hidden in this PID namespace")
    cookies: dict[str, int | None] = {}
    files, closed = set[int](), set[int]()
    seen = set[str]()
    for process in glob("/proc/[0-9]*"):
        with suppress(OSError):  # it has ended
            if not _link(f"{process}/ns/net"):
                closed |= {_file(task) for task in glob(f"{process}/task/[0-9]*")}
            for path in (*glob(f"{process}/task/[0-9]*/ns/net"), *glob(f"{process}/fd/[0-9]*")):
                _find(cookies, files, _link(path), path)
            if (mounts := _link(f"{process}/ns/mnt")) not in seen:
                seen.add(mounts)
                for name, path in _mounts(Path(process)):
                    _find(cookies, files, name, path)
    if None in cookies.values() or closed - files:
        raise KernelError("namespaces: listing: one cannot be entered")
    return frozenset(found for found in cookies.values() if found is not None)


def _mounts(process: Path) -> Iterator[tuple[str, str]]:
    """The names of what is mounted there, and the paths that lead to it (proc(5), mountinfo). Raises OSError."""
    # Of the characters that Python takes for the end of a line, the kernel escapes only the newline.
    for line in os.fsdecode((process / "mountinfo").read_bytes()).split("\n")[:-1]:
        _, _, _, name, place, *_ = line.split(" ")
        yield name, f"{process}/root{_ESCAPED.sub(lambda found: chr(int(found[1], 8)), place)}"


def _find(cookies: dict[str, int | None], files: set[int], name: str, path: str) -> None:
    """Note cookie and file of the namespace of this name, if it is one, by this path; None while none leads to it."""
    if not name.startswith("net:[") or cookies.setdefault(name, None) is not None:
        return
    with suppress(OSError, NviError), _opened(path, name) as fd, within(fd):
        cookies[name] = cookie()
        files.add(_file("/proc/thread-self"))


@contextmanager
def _opened(path: str, name: str) -> Iterator[int]:
    """A descriptor of the namespace with this name. Raises OSError where the path leads to something else.

    Any user may have mounted a FIFO or a device over a namespace: nothing else is opened, not even for a moment.
    """
    there = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        found = os.fstat(there)
        if found.st_dev != os.stat("/proc/self/ns/net").st_dev or name != f"net:[{found.st_ino}]":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        with open(f"/proc/self/fd/{there}", "rb") as file:
            yield file.fileno()
    finally:
        os.close(there)


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _file(task: str) -> int:
    """A number that the namespace of this task has alone: the inode of a file of its own. Raises OSError.

    The links in its `ns` are for a process with all of its capabilities (ptrace(2), PTRACE_MODE_READ). The service
    has fewer than other processes of root.
    """
    return os.stat(f"{task}/net/dev").st_ino


def is_host() -> bool:
    """Is the calling thread in the namespace that the machine booted with? False where that cannot be known."""
    try:
        return _file("/proc/1") == _file("/proc/thread-self")
    except OSError:
        return False


def cookie() -> int:
    """What identifies the calling thread's namespace since boot. CapabilityError before Linux 5.14."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            raw = probe.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)
        except OSError as error:
            raise CapabilityError(
                f"kernel {os.uname().release}: reading SO_NETNS_COOKIE: {error.strerror}",
                hint="Linux 5.15 or newer is needed",
            ) from error
    (number,) = struct.unpack("=Q", raw)
    return int(number)
