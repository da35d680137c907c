"""Programs at tcx, whose changes the kernel reports to no one."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable
from typing import Self

from nvi_operator.errors import NviError
from nvi_operator.kernel.bpf import tcx
from nvi_operator.kernel.bpf.tcx import Hook, Listing


class TcxWatch:
    """The programs of some interfaces, by their numbers."""

    def __init__(self, places: Iterable[tuple[int, Hook]]) -> None:
        self._places = tuple(places)
        self._before = self._listings()

    @classmethod
    def of(cls, ifnames: Collection[str], hooks: Collection[Hook]) -> Self | None:
        """None where there is nothing to watch."""
        if not ifnames or not tcx.available():
            return None
        return cls((number, hook) for number, name in socket.if_nameindex() if name in ifnames for hook in hooks)

    def unchanged(self) -> bool:
        return self._listings() == self._before

    def close(self) -> None:
        return

    def _listings(self) -> list[Listing] | None:
        """None where an interface has gone, which is reported."""
        try:
            return [tcx.programs(ifindex, hook) for ifindex, hook in self._places]
        except NviError:
            return None
