"""The link groups of uplinks: lent, and given back by a delete."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.lent import Lent
from nvi_operator.state.change import Change
from nvi_operator.state.host import HostState
from nvi_operator.state.link import LinkGroup


class LinkGroupDriver(Driver):
    kind = "link-group"

    def __init__(self, ipr: Any, lent: Lent) -> None:
        self._ipr = ipr
        self._lent = lent

    def observe(self, desired: HostState) -> Iterator[LinkGroup]:
        for ifname in self._lent.all(self.kind):
            link = self._find(ifname)
            if link is not None:
                yield LinkGroup(ifname, link.get("group") or 0)

    def apply(self, change: Change) -> None:
        ifname = change.ref.key
        link = self._find(ifname)
        if isinstance(change.after, LinkGroup):
            if link is not None:
                before_us = link.get("group") or 0
                # Our own group is nobody else's: there was an apply before whose memory is lost.
                self._lent.remember(self.kind, ifname, str(0 if before_us == change.after.group else before_us))
                self._set(link, ifname, change.after.group)
            return
        before_us = self._lent.all(self.kind).get(ifname)
        if link is not None and before_us is not None:
            self._set(link, ifname, int(before_us))
        self._lent.forget(self.kind, ifname)

    def _find(self, ifname: str) -> Any:
        with kernel_errors(f"{ifname}: reading its link group"):
            return next(iter(self._ipr.link("dump", ifname=ifname)), None)

    def _set(self, link: Any, ifname: str, group: int) -> None:
        with kernel_errors(f"{ifname}: setting its link group to {group}"):
            self._ipr.link("set", index=link["index"], group=group)
