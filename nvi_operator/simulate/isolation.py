"""A process that has namespaces to itself, so that nothing it does is seen outside, and nothing of it is left.

The child is the first process of a new PID namespace, in new network and mount namespaces. The kernel kills it when
its parent ends, however that ends (PR_SET_PDEATHSIG), and with it every process that it started (pid_namespaces(7));
namespaces, interfaces and mounts end with the last process and descriptor that has them.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from nvi_operator.errors import NviError
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netns import unshare
from nvi_operator.simulate.fresh import write_fresh

_NEWNS, _NEWPID = 0x00020000, 0x20000000  # include/uapi/linux/sched.h
_PR_SET_PDEATHSIG = 1
_BIND, _REC, _PRIVATE = 0x1000, 0x4000, 1 << 18  # include/uapi/linux/mount.h
_NOSUID_NODEV_NOEXEC = 0xE
# Empty for the child: the operator's files and locks, named namespaces, leases, and its own state.
_HIDDEN = ("/run", "/var/lib/nvi-operator", "/var/lib/dhcpcd", "/var/db/dhcpcd")


def isolated(function: Callable[[], int]) -> int:
    """Run `function` in a child with namespaces of its own; its exit code. Raises KernelError, CapabilityError."""
    libc = ctypes.CDLL(None, use_errno=True)
    read, write = os.pipe()  # its write end is closed when this process ends
    sys.stdout.flush()
    sys.stderr.flush()
    with open("/proc/self/ns/pid", "rb") as own, kernel_errors("namespaces: making"):
        _check(libc.unshare(_NEWPID))  # of the children to come
        pid = os.fork()
        if pid == 0:
            os.close(write)
            _run(libc, read, function)
        _check(libc.setns(own.fileno(), _NEWPID))
    os.close(read)
    try:
        _, status = os.waitpid(pid, 0)
    except BaseException:  # Ctrl-C, mostly: the child has had it as well, or it has not
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(write)
    return os.waitstatus_to_exitcode(status)


def _run(libc: ctypes.CDLL, alive: int, function: Callable[[], int]) -> None:
    """Runs in the child, which ends with it."""
    code = 1
    try:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if not select.select([alive], (), (), 0)[0]:  # otherwise the parent had ended before the kernel was asked
            _separate(libc)
            code = function()
            sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except NviError as error:
        print(f"nvictl: {error}", file=sys.stderr)
    except OSError as error:
        print(f"nvictl: output: {error.strerror or error}", file=sys.stderr)
        code = 1
    except BaseException:  # noqa: BLE001 - it must not return into the parent's code
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _separate(libc: ctypes.CDLL) -> None:
    with kernel_errors("namespaces: making"):
        _check(libc.unshare(_NEWNS))
        _check(libc.mount(None, b"/", None, _REC | _PRIVATE, None))
        _check(libc.mount(b"proc", b"/proc", b"proc", _NOSUID_NODEV_NOEXEC, None))
    unshare()
    with kernel_errors("namespaces: mounting /sys"):
        _check(libc.mount(b"sysfs", b"/sys", b"sysfs", _NOSUID_NODEV_NOEXEC, None))
        for path in filter(os.path.isdir, _HIDDEN):
            _check(libc.mount(b"tmpfs", path.encode(), b"tmpfs", 0, b"mode=0755"))
    write_fresh()


def named(fd: int, name: str) -> None:
    """Give a network namespace a name for `ip netns exec`, which only this process and its children see."""
    directory = Path("/run/netns")
    directory.mkdir(exist_ok=True)
    (directory / name).touch()
    libc = ctypes.CDLL(None, use_errno=True)
    with kernel_errors(f"namespace {name}: naming"):
        _check(libc.mount(f"/proc/self/fd/{fd}".encode(), bytes(directory / name), None, _BIND, None))


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
