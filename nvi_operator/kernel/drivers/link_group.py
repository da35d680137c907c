"""The link groups of uplinks: changed while the gateway needs them, restored by a delete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.handles import Handles
from nvi_operator.kernel.netlink.interfaces import ListedLink, list_links
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kinds.link_group import LINK_GROUP, LinkGroup
from nvi_operator.plan.change import Change
from nvi_operator.state.host import HostState
from nvi_operator.store.saved_settings import SavedSettings


class LinkGroupDriver(Driver):
    kind = LINK_GROUP.name

    def __init__(self, ipr: Any, rtnetlink: Rtnetlink, saved: SavedSettings, group: int) -> None:
        self._ipr = ipr
        self._rtnetlink = rtnetlink
        self._saved = saved
        self._group = group

    @classmethod
    def create(cls, handles: Handles, drivers: Mapping[str, Driver]) -> LinkGroupDriver:
        return cls(handles.ipr, handles.rtnetlink, handles.saved, handles.numbers.link_group)

    def observe(self, desired: HostState) -> Iterator[LinkGroup]:
        for ifname in self._saved.all(self.kind):
            link = self._find(ifname)
            if link is not None:
                yield LinkGroup(ifname, link.group)

    def unrecorded(self, found: HostState) -> Iterator[LinkGroup]:
        """Where the record of a gateway is gone or damaged: interfaces that have the gateway's group nevertheless."""
        if not found or not self._saved.incomplete:
            return
        known = self._saved.all(self.kind)
        with kernel_errors("link groups: listing"):
            links = list_links(self._rtnetlink)
        for link in links:
            if link.group == self._group and link.ifname not in known:
                yield LinkGroup(link.ifname, self._group)

    def default(self, key: str) -> str:
        return "0"

    def apply(self, change: Change) -> None:
        ifname = change.ref.key
        link = self._find(ifname)
        if isinstance(change.after, LinkGroup):
            if link is not None:
                before_us = link.group
                # No other program uses this group: the record of an earlier apply was lost.
                self._saved.save(self.kind, ifname, str(0 if before_us == change.after.group else before_us))
                self._set(link, ifname, change.after.group)
            return
        if link is not None:
            self._set(link, ifname, int(self._saved.all(self.kind).get(ifname, "0")))
        self._saved.discard(self.kind, ifname)

    def _find(self, ifname: str) -> ListedLink | None:
        with kernel_errors(f"{ifname}: reading its link group"):
            return next((link for link in list_links(self._rtnetlink) if link.ifname == ifname), None)

    def _set(self, link: ListedLink, ifname: str, group: int) -> None:
        with kernel_errors(f"{ifname}: setting its link group to {group}"):
            self._ipr.link("set", index=link.index, group=group)
