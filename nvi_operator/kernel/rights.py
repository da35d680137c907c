"""Tries every right that a reconcile uses, before it changes anything: apply, verify, revert and `down` use the same.

Tried and not read from capability bits: in a container, behind a seccomp filter or under an LSM all bits may be set
and the call be refused. Each try is one that changes nothing where it succeeds.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import CapabilityError, NviError
from nvi_operator.kernel.bpf.syscall import try_programs
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.drivers.sysctl import PROC
from nvi_operator.kernel.netlink.nfnetlink import Nfnetlink
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kinds.sysctl import FORWARDING
from nvi_operator.plan.change import Plan

_DELLINK = 17  # RTM_DELLINK; the kernel asks for CAP_NET_ADMIN before it looks at the message
_NO_LINK = struct.pack("=16xHH12s", 4 + 9, 3, b"nvi/none")  # IFLA_IFNAME, with a name that no link can have
_REFUSED = (errno.EPERM, errno.EACCES, errno.EROFS)


@dataclass(frozen=True)
class MissingRight:
    """A right that is missing: for what, what the kernel answered, and what to do."""

    what: str
    why: str
    hint: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


def require(plan: Plan, drivers: Mapping[str, type[Driver]]) -> None:
    """Raises CapabilityError with every right that is missing for this plan, and for the way back."""
    refs = {*plan.before.objects, *plan.after.objects}
    settings = {path for ref in refs if (path := drivers[ref.kind].writes(ref.key)) is not None}
    programs = any(drivers[ref.kind].loads_programs for ref in refs)
    if found := refused(settings, programs=programs):
        raise CapabilityError(
            "rights: " + "; ".join(map(str, found)) + ". Nothing was changed",
            hint="; ".join(dict.fromkeys(right.hint for right in found)),
        )


def refused(settings: Iterable[str] = FORWARDING.values(), *, programs: bool = False) -> tuple[MissingRight, ...]:
    """The rights that are missing in the calling thread's network namespace; none changes anything when tried."""
    return tuple(_refused(settings, programs=programs))


def _refused(settings: Iterable[str], *, programs: bool) -> Iterator[MissingRight]:
    admin = "run as root, or with CAP_NET_ADMIN in this network namespace"
    if why := _tried(_change_a_link):
        yield MissingRight("changing links, routes and rules", why, admin)
    if why := _tried(_ask_nftables):
        yield MissingRight("changing nftables", why, admin)
    for path in sorted(settings):
        if why := _tried(partial(_open_to_write, path)):
            yield MissingRight(f"writing {PROC / path}", why, f"{admin}, and where /proc/sys is mounted writable")
            break
    if programs:
        try:
            try_programs()
        except CapabilityError as error:
            what, _, why = error.message.rpartition(": ")
            yield MissingRight(what, why, error.hint)
        except NviError:
            return  # not a question of rights: the driver's own check says more


def _tried(attempt: Callable[[], None]) -> str | None:
    """Why it is not permitted; None if it is, whatever else came of it."""
    try:
        attempt()
    except CapabilityError as error:
        return error.message.rpartition(": ")[2]
    except OSError as error:
        return error.strerror if error.errno in _REFUSED else None
    except NviError:
        return None
    return None


def _open_to_write(path: str) -> None:
    os.close(os.open(PROC / path, os.O_WRONLY | os.O_CLOEXEC))


def _change_a_link() -> None:
    with Rtnetlink() as rtnetlink:
        rtnetlink.request(_DELLINK, 0, _NO_LINK)


def _ask_nftables() -> None:
    """nfnetlink asks for CAP_NET_ADMIN for every message, whatever it wants."""
    wire = Nfnetlink()
    try:
        wire.generation()
    finally:
        wire.close()
