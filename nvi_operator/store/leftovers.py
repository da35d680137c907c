"""Files in /run of network namespaces that are gone, and of a gateway that was removed.

A container or a laboratory may end without `nvictl down`: its lock, its saved settings and the socket of a killed
daemon stay until the next boot. They are known to be of no use when nothing refers to the namespace any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import closing, suppress
from pathlib import Path

from nvi_operator.errors import NviError
from nvi_operator.store.directory import RUN
from nvi_operator.store.lock import GatewayLock

_OTHERS = ("settings-{}.json", "settings-{}.damaged", "control-{}.sock", "health-{}.json")


def sweep(living: Callable[[], Collection[int]], directory: Path = RUN) -> None:
    """Remove what is left of namespaces that are not among `living`, by cookie; never what is locked.

    `living` is asked after the files were listed, as namespaces are made all the time.
    """
    names = [path.name.removeprefix("lock-") for path in directory.glob("lock-*")]
    found = [int(cookie) for cookie in names if cookie.isdecimal()]
    there = living() if found else ()
    for cookie in found:
        if cookie not in there:
            with (
                suppress(NviError, OSError),
                closing(GatewayLock(cookie, "nvictl down", directory=directory)) as lock,
            ):
                if lock.remove():
                    for name in _OTHERS:
                        (directory / name.format(cookie)).unlink(missing_ok=True)
