"""The programs that guard an interface, at its egress (uplinks) and its ingress.

The interface is another's, and so may be its clsact qdisc and other filters. The gateway's filter is known by the
program's name. It takes the first free preference, so that it is asked early; an earlier filter that ends in a
verdict takes it out of the path, which `nvictl doctor` names. Both hooks share one qdisc, which is deleted if a
driver made it and nothing else uses it.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Self

from nvi_operator.errors import CapabilityError, KernelError
from nvi_operator.kernel.bpf import asm, syscall
from nvi_operator.kernel.bpf.guard import COUNTERS, GuardProgram, TcHook, is_guard
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.drivers.tc_program import opened_maps, opened_program
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.handles import Handles
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kinds.egress_guard import EgressGuard
from nvi_operator.kinds.ingress_guard import IngressGuard
from nvi_operator.nft.wire.attributes import attributes
from nvi_operator.plan.change import Change
from nvi_operator.state.host import HostState
from nvi_operator.store import saved_settings
from nvi_operator.store.saved_settings import SavedSettings

# include/uapi/linux/rtnetlink.h, pkt_sched.h, pkt_cls.h
_GET_QDISC, _GET_FILTER = 38, 46
_TC = struct.Struct("=B3xiIII")  # struct tcmsg: family, ifindex, handle, parent, info
_KIND, _OPTIONS, _NAME, _FLAGS, _ID = 1, 2, 7, 8, 11
_DIRECT_ACTION = 1
_PARENTS: Mapping[TcHook, int] = MappingProxyType({"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3})
_ETH_P_ALL = 3
_HANDLE = 1

Guard = EgressGuard | IngressGuard


@dataclass(frozen=True)
class _Place:
    """A filter of the operator."""

    ifindex: int
    preference: int
    handle: int
    program: int  # its number


class GuardDriver(Driver):
    """The driver of one hook says in `kind`, `program`, `type` and `place` which."""

    loads_programs = True
    program: ClassVar[GuardProgram]
    type: ClassVar[type[Guard]]
    place: ClassVar[str]  # in words

    def __init__(self, ipr: Any, rtnetlink: Rtnetlink, saved: SavedSettings) -> None:
        self._program = self.program
        self._parent = _PARENTS[self.program.hook]
        self._ipr = ipr
        self._rtnetlink = rtnetlink
        self._saved = saved

    @classmethod
    def create(cls, handles: Handles, drivers: Mapping[str, Driver]) -> Self:
        return cls(handles.ipr, handles.rtnetlink, handles.saved)

    def observe(self, desired: HostState) -> Iterator[Guard]:
        """Every owned guard, on whatever interface."""
        for place in self._places():
            ifname = self._ifname(place.ifindex)
            if ifname is not None:
                yield self.type(ifname, *self._contents(place.program))

    def counters(self, live: HostState) -> dict[str, dict[str, int]]:
        """Packets by reason, over all interfaces and CPUs; empty where there is no guard."""
        cpus, total = syscall.possible_cpus(), dict.fromkeys(self._program.reasons, 0)
        places = list(self._places())
        for place in places:
            with opened_maps(place.program) as maps:
                for number, reason in enumerate(self._program.reasons):
                    raw = syscall.lookup(maps[COUNTERS], struct.pack("=I", number), 8 * cpus)
                    total[reason] += sum(struct.unpack(f"={cpus}Q", raw)) if raw else 0
        return {self.place: total} if places else {}

    def check(self, change: Change) -> None:
        """Does this kernel take the program, and do the entries fit in? Load it, and let it go."""
        if isinstance(change.after, Guard):
            with ExitStack() as stack:
                self._load(stack, change.after, None)

    def apply(self, change: Change) -> None:
        assert isinstance(change.present, Guard)
        ifindex = self._ifindex(change.present.ifname)
        place = None if ifindex is None else next(iter(self._places(ifindex)), None)
        if not isinstance(change.after, Guard):
            if place is not None:
                self._detach(place)
            return
        if ifindex is None:
            raise KernelError(f"{self.kind} {change.after.key}: attaching: no such interface")
        self._attach(change.after, ifindex, place)

    # ---------------------------------------------------------------- where it is

    def _places(self, ifindex: int = 0) -> Iterator[_Place]:
        """All owned filters, or those of one interface."""
        with kernel_errors("tc filters: listing"):
            qdiscs = self._rtnetlink.dump(_GET_QDISC, _TC.pack(0, ifindex, 0, 0, 0), _is_clsact)
            indexes = dict.fromkeys(_TC.unpack_from(body)[1] for body in qdiscs)
            for index in indexes:
                if ifindex in (0, index):
                    yield from filter(None, map(self._own_place, self._filters(index, self._parent)))

    def _filters(self, ifindex: int, parent: int) -> list[bytes]:
        return self._rtnetlink.dump(_GET_FILTER, _TC.pack(0, ifindex, 0, parent, 0), lambda _: True)

    def _ifindex(self, ifname: str) -> int | None:
        with kernel_errors(f"{ifname}: looking for it"):
            return next(iter(self._ipr.link_lookup(ifname=ifname)), None)

    def _ifname(self, ifindex: int) -> str | None:
        with kernel_errors(f"interface {ifindex}: looking for it"):
            link = next((each for each in self._ipr.link("dump") if each["index"] == ifindex), None)
            return None if link is None else str(link.get("ifname"))

    # ---------------------------------------------------------------- to and from the kernel

    def _load(self, stack: ExitStack, guard: Guard, previous: int | None) -> int:
        """The program's file descriptor. Counters go on in the previous program's map, if it has the same form."""
        assert guard.stage_mask is not None
        entries, counters = self._program.entries(len(guard.entries)), self._program.counters
        if len(guard.entries) > entries.entries:
            raise CapabilityError(
                f"{self.kind} {guard.key}: {len(guard.entries)} prefixes: at most {entries.entries} fit",
                hint="write public addresses as prefixes",
            )
        fds = {entries.name: syscall.create_map(entries)}
        stack.callback(os.close, fds[entries.name])
        kept = stack.enter_context(opened_maps(previous)) if previous is not None else {}
        if COUNTERS in kept and syscall.map_info(kept[COUNTERS]) == counters:
            fds[COUNTERS] = kept[COUNTERS]
        else:
            fds[COUNTERS] = syscall.create_map(counters)
            stack.callback(os.close, fds[COUNTERS])
        for entry in guard.entries:
            syscall.update(fds[entries.name], *self._program.as_element(entry))
        code = asm.encode(self._program.assemble(guard.stage_mask), fds)
        fd = syscall.load_program(code, self._program.name(guard.stage_mask))
        stack.callback(os.close, fd)
        return fd

    def _attach(self, guard: Guard, ifindex: int, place: _Place | None) -> None:
        """Load, fill, then replace in one step: no packet meets a half-made program or map."""
        with ExitStack() as stack:
            fd = self._load(stack, guard, place.program if place else None)
            assert guard.stage_mask is not None
            with kernel_errors(f"{self.kind} {guard.key}: attaching"):
                if not any(q.get("kind") == "clsact" for q in self._ipr.get_qdiscs(index=ifindex)):
                    self._saved.save(saved_settings.CLSACT, str(ifindex), "none")
                    self._ipr.tc("add", "clsact", ifindex)
                self._ipr.tc(
                    "replace-filter",
                    "bpf",
                    ifindex,
                    f":{place.handle if place else _HANDLE}",
                    fd=fd,
                    name=self._program.name(guard.stage_mask),
                    parent=self._parent,
                    classid=1,
                    direct_action=True,
                    prio=place.preference if place else self._free_preference(ifindex),
                    protocol=_ETH_P_ALL,
                )

    def _free_preference(self, ifindex: int) -> int:
        taken = {_TC.unpack_from(body)[4] >> 16 for body in self._filters(ifindex, self._parent)}
        return next(preference for preference in range(1, 1 << 16) if preference not in taken)

    def _detach(self, place: _Place) -> None:
        with kernel_errors(f"{self.kind} of interface {place.ifindex}: detaching"):
            self._ipr.tc(
                "del-filter",
                "bpf",
                place.ifindex,
                f":{place.handle}",
                parent=self._parent,
                prio=place.preference,
                protocol=_ETH_P_ALL,
            )
            if str(place.ifindex) in self._saved.all(saved_settings.CLSACT):
                left = [each for parent in _PARENTS.values() for each in self._filters(place.ifindex, parent)]
                if not left:
                    self._ipr.tc("del", "clsact", place.ifindex)
                if not any(is_guard(_program_name(each)) for each in left):
                    self._saved.discard(saved_settings.CLSACT, str(place.ifindex))

    def _own_place(self, body: bytes) -> _Place | None:
        """The place of a filter, if its program has the gateway's name."""
        _, ifindex, handle, _, info = _TC.unpack_from(body)
        about = _about(body)
        flags = int.from_bytes(about.get(_FLAGS, b""), sys.byteorder)
        if self._program.stage_mask_of(_program_name(body)) is None or not flags & _DIRECT_ACTION or _ID not in about:
            return None
        return _Place(ifindex, info >> 16, handle, struct.unpack("=I", about[_ID])[0])

    def _contents(self, number: int) -> tuple[int | None, frozenset[Any]]:
        """Stage bit and entries of a program, as it would be made today; otherwise nothing."""
        with opened_program(number) as fd:
            info = syscall.program_info(fd)
        stage_mask = self._program.stage_mask_of(info.name)
        if stage_mask is None or info.tag not in asm.tags(self._program.assemble(stage_mask)):
            return None, frozenset()
        with opened_maps(number) as maps:
            entries = self._program.entries(0)
            if maps.keys() != {entries.name, COUNTERS}:
                return None, frozenset()
            table = maps[entries.name]
            keys = list(syscall.keys(table, entries.key_size))
            # The tag does not cover the maps (bpf_prog_calc_tag() clears them).
            if {syscall.map_info(each) for each in maps.values()} != {
                self._program.entries(len(keys)),
                self._program.counters,
            }:
                return None, frozenset()
            values = [(key, syscall.lookup(table, key, entries.value_size)) for key in keys]
        parse = self._program.parse_element
        return stage_mask, frozenset(parse(key, value) for key, value in values if value is not None)


def _is_clsact(body: bytes) -> bool:
    return dict(attributes(body[_TC.size :])).get(_KIND) == b"clsact\0"


def _about(body: bytes) -> dict[int, bytes]:
    """What a filter says of its program; empty of one that has none, or of the head of a preference."""
    attrs = dict(attributes(body[_TC.size :]))
    return dict(attributes(attrs[_OPTIONS])) if attrs.get(_KIND) == b"bpf\0" and _OPTIONS in attrs else {}


def _program_name(body: bytes) -> str:
    return _about(body).get(_NAME, b"").rstrip(b"\0").decode(errors="replace")
