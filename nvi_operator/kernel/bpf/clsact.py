"""Programs at an interface as filters of its clsact qdisc, as kernels before tcx have them.

A filter runs by its preference, the lowest first. The qdisc is deleted if the operator made it and nothing else uses
it; a record in the saved settings says so.
Source: include/uapi/linux/rtnetlink.h, pkt_sched.h, pkt_cls.h.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.kernel.bpf.names import is_own
from nvi_operator.kernel.bpf.tcx import Hook, Order
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.nft.wire.attributes import attributes
from nvi_operator.store import saved_settings
from nvi_operator.store.saved_settings import SavedSettings

_GET_QDISC, _GET_FILTER = 38, 46
_TC = struct.Struct("=B3xiIII")  # struct tcmsg: family, ifindex, handle, parent, info
_KIND, _OPTIONS, _NAME, _FLAGS, _ID = 1, 2, 7, 8, 11
_DIRECT_ACTION = 1
PARENTS: Mapping[Hook, int] = MappingProxyType({"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3})
_ETH_P_ALL = 3
_PREFERENCES = 1 << 16


@dataclass(frozen=True)
class Filter:
    """A program that decides by itself (direct action). The name is the filter's own."""

    ifindex: int
    hook: Hook
    name: str
    program: int  # its number
    preference: int
    handle: int


@dataclass(frozen=True)
class ListedFilter:
    """Any filter. What the numbers of its `options` mean depends on its kind (TCA_*_)."""

    preference: int
    protocol: int  # ETH_P_*
    handle: int
    kind: str
    is_head: bool  # of a preference: it is no filter
    options: Mapping[int, bytes]

    @property
    def name(self) -> str:
        """The filter's own; empty for one without a program."""
        return self._of_program(_NAME).rstrip(b"\0").decode(errors="replace")

    @property
    def program(self) -> int | None:
        """Its number; None for a classic one, and for other kinds of filters."""
        return int.from_bytes(self._of_program(_ID), sys.byteorder) or None

    @property
    def direct_action(self) -> bool:
        """Does its program decide by itself?"""
        return bool(int.from_bytes(self._of_program(_FLAGS), sys.byteorder) & _DIRECT_ACTION)

    def _of_program(self, option: int) -> bytes:
        return self.options.get(option, b"") if self.kind == "bpf" else b""


def list_filters(rtnetlink: Rtnetlink, ifindex: int, hook: Hook) -> list[ListedFilter]:
    """The filters of an interface's clsact, in the order in which they run. Raises OSError."""
    asked = _TC.pack(0, ifindex, 0, PARENTS[hook], 0)
    return [_listed(body) for body in rtnetlink.dump(_GET_FILTER, asked, lambda _: True)]


def put_filter(ipr: Any, place: Filter, fd: int) -> None:
    """Attach a loaded program there, or replace what is there in one step."""
    options = {"fd": fd, "name": place.name, "classid": 1, "direct_action": True}
    ipr.tc("replace-filter", "bpf", place.ifindex, f":{place.handle}", **options, **_at(place))


def delete_filter(ipr: Any, place: Filter) -> None:
    ipr.tc("del-filter", "bpf", place.ifindex, f":{place.handle}", **_at(place))


def _at(place: Filter) -> dict[str, int]:
    return {"parent": PARENTS[place.hook], "prio": place.preference, "protocol": _ETH_P_ALL}


class Clsact:
    def __init__(self, ipr: Any, rtnetlink: Rtnetlink, saved: SavedSettings) -> None:
        self._ipr = ipr
        self._rtnetlink = rtnetlink
        self._saved = saved

    def filters(self, hook: Hook, ifindex: int = 0) -> Iterator[Filter]:
        """The filters of one interface or of all, in the order in which they run."""
        with kernel_errors("tc filters: listing"):
            qdiscs = self._rtnetlink.dump(_GET_QDISC, _TC.pack(0, ifindex, 0, 0, 0), _is_clsact)
            for index in dict.fromkeys(_TC.unpack_from(body)[1] for body in qdiscs):
                if ifindex in (0, index):
                    for each in list_filters(self._rtnetlink, index, hook):
                        if each.direct_action and each.program is not None:
                            yield Filter(index, hook, each.name, each.program, each.preference, each.handle)

    def attach(
        self, ifindex: int, hook: Hook, fd: int, name: str, order: Order, *, first: int = 1, handle: int = 1
    ) -> None:
        """Attach as a filter of a preference of its own: the lowest that is free from `first` on, or the highest."""
        preferences = range(first, _PREFERENCES)
        with kernel_errors(f"tc filter {name} at {hook} of interface {ifindex}: attaching"):
            if not any(each.get("kind") == "clsact" for each in self._ipr.get_qdiscs(index=ifindex)):
                self._saved.save(saved_settings.CLSACT, str(ifindex), "none")
                self._ipr.tc("add", "clsact", ifindex)
            taken = {each.preference for each in list_filters(self._rtnetlink, ifindex, hook)}
            ordered = preferences if order == "first" else reversed(preferences)
            preference = next(each for each in ordered if each not in taken)
            put_filter(self._ipr, Filter(ifindex, hook, name, 0, preference, handle), fd)

    def replace(self, previous: Filter, fd: int, name: str) -> None:
        """Replace a filter in one step, at the same place."""
        with kernel_errors(f"tc filter {name} at {previous.hook} of interface {previous.ifindex}: replacing"):
            put_filter(self._ipr, replace(previous, name=name), fd)

    def detach(self, place: Filter) -> None:
        with kernel_errors(f"tc filter {place.name} at {place.hook} of interface {place.ifindex}: detaching"):
            delete_filter(self._ipr, place)
            if str(place.ifindex) in self._saved.all(saved_settings.CLSACT):
                left = [each for hook in PARENTS for each in list_filters(self._rtnetlink, place.ifindex, hook)]
                if not left:
                    self._ipr.tc("del", "clsact", place.ifindex)
                if not any(is_own(each.name) for each in left):
                    self._saved.discard(saved_settings.CLSACT, str(place.ifindex))


def _listed(body: bytes) -> ListedFilter:
    _, _, handle, _, info = _TC.unpack_from(body)
    attrs = dict(attributes(body[_TC.size :]))
    kind = attrs.get(_KIND, b"").rstrip(b"\0").decode(errors="replace")
    return ListedFilter(
        info >> 16,
        socket.ntohs(info & 0xFFFF),
        handle,
        kind,
        _OPTIONS not in attrs,
        dict(attributes(attrs.get(_OPTIONS, b""))),
    )


def _is_clsact(body: bytes) -> bool:
    return dict(attributes(body[_TC.size :])).get(_KIND) == b"clsact\0"
