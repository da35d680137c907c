"""Where the records of this network namespace's gateway are, and who asks for a change of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from nvi_operator.errors import NviError
from nvi_operator.history.revision import Requester
from nvi_operator.kernel.netns import cookie, is_host

STATE = Path("/var/lib/nvi-operator")
VARIABLE = "STATE_DIRECTORY"  # of a service (systemd.exec(5))
_NOT_SET = 0xFFFFFFFF  # without a login (include/uapi/linux/audit.h, AUDIT_UID_UNSET)


def boot_id() -> str:
    """Another one after each boot (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def state_directory() -> Path:
    """The host's own; of another network namespace, which ends with the boot, a directory in it."""
    return Path(os.environ.get(VARIABLE, "").partition(":")[0] or STATE) / namespace()


def namespace() -> str:
    """Which network namespace of this machine it is; empty: that of the host, which is there after each boot."""
    return "" if is_host() else f"netns-{boot_id()[:8]}-{cookie()}"


def sweep(living: Callable[[], Collection[int]]) -> None:
    """Remove the records of network namespaces that ended with an earlier boot, or are not among `living`, by cookie.

    `living` is asked after the records were listed, and only where others of this boot have some.
    """
    from shutil import rmtree

    directory, now = state_directory(), f"netns-{boot_id()[:8]}-"
    state = directory.parent if directory.name.startswith(now) else directory
    with suppress(OSError):
        found = [left for left in state.glob("netns-????????-*") if left != directory]
        gone = [left for left in found if not left.name.startswith(now)]
        if len(gone) < len(found):
            with suppress(NviError):  # it is not known which are gone
                there = {f"{now}{cookie}" for cookie in living()}
                gone += [left for left in found if left.name.startswith(now) and left.name not in there]
        for left in gone:
            rmtree(left, ignore_errors=True)


def asked(command: str) -> Requester:
    """This process, and the login that it belongs to."""
    login = _number("/proc/self/loginuid")
    return Requester(os.getuid() if login is None else login, os.getpid(), _number("/proc/self/sessionid"), command)


def _number(path: str) -> int | None:
    """None where there is no login, or the kernel was built without auditing."""
    try:
        number = int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if number == _NOT_SET else number
