"""The border: exceptions of libraries and of the OS are wrapped here, once, `from` the original."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nvi_operator.errors import CapabilityError, KernelError

HINTS = {
    errno.EPERM: "run as root, or with CAP_NET_ADMIN in this network namespace",
    errno.EACCES: "run as root, or with CAP_NET_ADMIN in this network namespace",
    errno.EOPNOTSUPP: "this kernel lacks the feature; `nvictl doctor` says which",
    errno.ENFILE: "the set is full: the next plan makes a new one with more room",
    errno.ENOSPC: "a disk or a kernel table is full",
    errno.ENODEV: "the interface has disappeared; the next reconcile will see it",
    errno.ENETDOWN: "the interface is down; the next reconcile will see it",
}

# What another process that changes things at the same moment makes of an operation that was planned before.
TRANSIENT = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EEXIST,
        errno.EINTR,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENODEV,
        errno.ENOENT,
        errno.ENXIO,
        errno.ESRCH,
    }
)


@contextmanager
def kernel_errors(what: str, *, passing: type[OSError] | tuple[()] = ()) -> Iterator[None]:
    """OSError and pyroute2's NetlinkError become KernelError, or CapabilityError where rights lack.

    `passing` is for a caller that handles that one itself.
    """
    try:
        yield
    except _netlink_errors() as error:
        raise _wrapped(what, error.code, str(error.args[-1])) from error
    except passing:
        raise
    except OSError as error:
        raise _wrapped(what, error.errno or 0, error.strerror or str(error)) from error


def _netlink_errors() -> tuple[type[Any], ...]:
    """pyroute2's exception. Where nothing imported pyroute2 nothing raised it."""
    module = sys.modules.get("pyroute2.netlink.exceptions")
    return (module.NetlinkError,) if module else ()


def _wrapped(what: str, code: int, text: str) -> KernelError | CapabilityError:
    message = f"{what}: {text or os.strerror(code)}"
    hint = HINTS.get(code, "")
    if code in (errno.EPERM, errno.EACCES):
        return CapabilityError(message, hint=hint)
    return KernelError(message, hint=hint, transient=code in TRANSIENT)
