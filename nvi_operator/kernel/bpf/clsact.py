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
_PARENTS: Mapping[Hook, int] = MappingProxyType({"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3})
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
    """Any filter, and what of it is a program's. `options` None: it is the head of a preference, and no filter."""

    preference: int
    protocol: int  # ETH_P_*
    handle: int
    kind: str
    options: Mapping[int, bytes] | None

    @property
    def program(self) -> int | None:
        """Its number; None for a classic one, and for other kinds of filters."""
        found = (self.options or {}).get(_ID)
        return None if found is None or self.kind != "bpf" else int.from_bytes(found, sys.byteorder)

    @property
    def direct_action(self) -> bool:
        """Does its program decide by itself?"""
        return bool(int.from_bytes((self.options or {}).get(_FLAGS, b""), sys.byteorder) & _DIRECT_ACTION)


def list_filters(rtnetlink: Rtnetlink, ifindex: int, hook: Hook) -> list[ListedFilter]:
    """The filters of an interface's clsact, in the order in which they run. Raises OSError."""
    asked = _TC.pack(0, ifindex, 0, _PARENTS[hook], 0)
    return [_listed(body) for body in rtnetlink.dump(_GET_FILTER, asked, lambda _: True)]


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
                    yield from filter(None, (_parse(body, hook) for body in self._dump(index, hook)))

    def attach(
        self, ifindex: int, hook: Hook, fd: int, name: str, order: Order, *, first: int = 1, handle: int = 1
    ) -> None:
        """Attach as a filter of a preference of its own: the lowest that is free from `first` on, or the highest."""
        preferences = range(first, _PREFERENCES)
        with kernel_errors(f"tc filter {name} at {hook} of interface {ifindex}: attaching"):
            if not any(each.get("kind") == "clsact" for each in self._ipr.get_qdiscs(index=ifindex)):
                self._saved.save(saved_settings.CLSACT, str(ifindex), "none")
                self._ipr.tc("add", "clsact", ifindex)
            taken = {_TC.unpack_from(body)[4] >> 16 for body in self._dump(ifindex, hook)}
            ordered = preferences if order == "first" else reversed(preferences)
            preference = next(each for each in ordered if each not in taken)
            self._put(Filter(ifindex, hook, name, 0, preference, handle), fd)

    def replace(self, previous: Filter, fd: int, name: str) -> None:
        """Replace a filter in one step, at the same place."""
        with kernel_errors(f"tc filter {name} at {previous.hook} of interface {previous.ifindex}: replacing"):
            self._put(Filter(previous.ifindex, previous.hook, name, 0, previous.preference, previous.handle), fd)

    def detach(self, place: Filter) -> None:
        with kernel_errors(f"tc filter {place.name} at {place.hook} of interface {place.ifindex}: detaching"):
            self._ipr.tc(
                "del-filter",
                "bpf",
                place.ifindex,
                f":{place.handle}",
                parent=_PARENTS[place.hook],
                prio=place.preference,
                protocol=_ETH_P_ALL,
            )
            if str(place.ifindex) in self._saved.all(saved_settings.CLSACT):
                left = [body for hook in _PARENTS for body in self._dump(place.ifindex, hook)]
                if not left:
                    self._ipr.tc("del", "clsact", place.ifindex)
                if not any(is_own(_name(_about(body))) for body in left):
                    self._saved.discard(saved_settings.CLSACT, str(place.ifindex))

    def _put(self, place: Filter, fd: int) -> None:
        self._ipr.tc(
            "replace-filter",
            "bpf",
            place.ifindex,
            f":{place.handle}",
            fd=fd,
            name=place.name,
            parent=_PARENTS[place.hook],
            classid=1,
            direct_action=True,
            prio=place.preference,
            protocol=_ETH_P_ALL,
        )

    def _dump(self, ifindex: int, hook: Hook) -> list[bytes]:
        return self._rtnetlink.dump(_GET_FILTER, _TC.pack(0, ifindex, 0, _PARENTS[hook], 0), lambda _: True)


def _listed(body: bytes) -> ListedFilter:
    _, _, handle, _, info = _TC.unpack_from(body)
    attrs = dict(attributes(body[_TC.size :]))
    kind = attrs.get(_KIND, b"").rstrip(b"\0").decode(errors="replace")
    options = attrs.get(_OPTIONS)
    return ListedFilter(
        info >> 16,
        socket.ntohs(info & 0xFFFF),
        handle,
        kind,
        # Of another kind than bpf the numbers mean something else.
        None if options is None else dict(attributes(options)) if kind == "bpf" else {},
    )


def _is_clsact(body: bytes) -> bool:
    return dict(attributes(body[_TC.size :])).get(_KIND) == b"clsact\0"


def _parse(body: bytes, hook: Hook) -> Filter | None:
    """None for a filter that is no program, or for the head of a preference."""
    _, ifindex, handle, _, info = _TC.unpack_from(body)
    about = _about(body)
    flags = int.from_bytes(about.get(_FLAGS, b""), sys.byteorder)
    if not flags & _DIRECT_ACTION or _ID not in about:
        return None
    return Filter(ifindex, hook, _name(about), struct.unpack("=I", about[_ID])[0], info >> 16, handle)


def _about(body: bytes) -> dict[int, bytes]:
    attrs = dict(attributes(body[_TC.size :]))
    return dict(attributes(attrs[_OPTIONS])) if attrs.get(_KIND) == b"bpf\0" and _OPTIONS in attrs else {}


def _name(about: Mapping[int, bytes]) -> str:
    return about.get(_NAME, b"").rstrip(b"\0").decode(errors="replace")
