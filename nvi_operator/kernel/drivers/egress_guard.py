"""The program at an uplink's egress.

The interface is another's, and so may be its clsact qdisc and other filters. Ours is told by the program's name. It
takes the first preference that is free, so that it is asked early; an earlier filter that ends in a verdict takes it
out of the path, which `nvictl doctor` names. The qdisc is deleted if the driver made it and nothing else uses it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from nvi_operator.errors import CapabilityError, KernelError
from nvi_operator.kernel.bpf import asm, egress, syscall
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.drivers.tc_program import opened_maps, opened_program
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.rtnetlink import Rtnetlink
from nvi_operator.nft.wire.attributes import attributes
from nvi_operator.state.change import Change
from nvi_operator.state.egress_guard import EgressGuard, GuardEntry
from nvi_operator.state.host import HostState
from nvi_operator.store import saved_settings
from nvi_operator.store.saved_settings import SavedSettings

# include/uapi/linux/rtnetlink.h, pkt_sched.h, pkt_cls.h
_GET_QDISC, _GET_FILTER = 38, 46
_TC = struct.Struct("=B3xiIII")  # struct tcmsg: family, ifindex, handle, parent, info
_KIND, _OPTIONS, _NAME, _FLAGS, _ID = 1, 2, 7, 8, 11
_DIRECT_ACTION = 1
_INGRESS, _EGRESS = 0xFFFFFFF2, 0xFFFFFFF3
_ETH_P_ALL = 3
_HANDLE = 1


@dataclass(frozen=True)
class _Place:
    """A filter of ours."""

    ifindex: int
    preference: int
    handle: int
    program: int  # its number


class EgressGuardDriver(Driver):
    kind = "egress-guard"

    def __init__(self, ipr: Any, rtnetlink: Rtnetlink, saved: SavedSettings) -> None:
        self._ipr = ipr
        self._rtnetlink = rtnetlink
        self._saved = saved

    def observe(self, desired: HostState) -> Iterator[EgressGuard]:
        """Every guard of ours, on whatever interface."""
        for place in self._places():
            ifname = self._ifname(place.ifindex)
            if ifname is not None:
                yield EgressGuard(ifname, *_contents(place.program))

    def counters(self) -> dict[str, int]:
        """Packets by reason, over all interfaces and CPUs; empty where there is no guard."""
        cpus, total = syscall.possible_cpus(), dict.fromkeys(egress.REASONS, 0)
        places = list(self._places())
        for place in places:
            with opened_maps(place.program) as maps:
                for number, reason in enumerate(egress.REASONS):
                    raw = syscall.lookup(maps[egress.COUNTERS], struct.pack("=I", number), 8 * cpus)
                    total[reason] += sum(struct.unpack(f"={cpus}Q", raw)) if raw else 0
        return total if places else {}

    def check(self, change: Change) -> None:
        """Does this kernel take the program, and do the entries fit in? Load it, and let it go."""
        if isinstance(change.after, EgressGuard):
            with ExitStack() as stack:
                self._load(stack, change.after, None)

    def apply(self, change: Change) -> None:
        assert isinstance(change.present, EgressGuard)
        ifindex = self._ifindex(change.present.ifname)
        place = None if ifindex is None else next(iter(self._places(ifindex)), None)
        if not isinstance(change.after, EgressGuard):
            if place is not None:
                self._detach(place)
            return
        if ifindex is None:
            raise KernelError(f"egress-guard {change.after.key}: attaching: no such interface")
        self._attach(change.after, ifindex, place)

    # ---------------------------------------------------------------- where it is

    def _places(self, ifindex: int = 0) -> Iterator[_Place]:
        """All filters of ours, or those of one interface."""
        with kernel_errors("tc filters: listing"):
            qdiscs = self._rtnetlink.dump(_GET_QDISC, _TC.pack(0, ifindex, 0, 0, 0), _is_clsact)
            indexes = dict.fromkeys(_TC.unpack_from(body)[1] for body in qdiscs)
            for index in indexes:
                if ifindex in (0, index):
                    yield from filter(None, map(_ours, self._filters(index, _EGRESS)))

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

    def _load(self, stack: ExitStack, guard: EgressGuard, previous: int | None) -> int:
        """The program's file descriptor. Counters go on in the previous program's map, if it has the same form."""
        assert guard.stage_mask is not None
        if len(guard.entries) > egress.PREFIXES_MAP.entries:
            raise CapabilityError(
                f"egress-guard {guard.key}: wanted {len(guard.entries)} prefixes: {egress.PREFIXES_MAP.entries} fit",
                hint="write public addresses as prefixes",
            )
        fds = {egress.PREFIXES: syscall.create_map(egress.PREFIXES_MAP)}
        stack.callback(os.close, fds[egress.PREFIXES])
        kept = stack.enter_context(opened_maps(previous)) if previous is not None else {}
        if egress.COUNTERS in kept and syscall.map_info(kept[egress.COUNTERS]) == egress.COUNTERS_MAP:
            fds[egress.COUNTERS] = kept[egress.COUNTERS]
        else:
            fds[egress.COUNTERS] = syscall.create_map(egress.COUNTERS_MAP)
            stack.callback(os.close, fds[egress.COUNTERS])
        for entry in guard.entries:
            syscall.update(fds[egress.PREFIXES], *egress.as_element(entry))
        code = asm.encode(egress.assemble(guard.stage_mask), fds)
        fd = syscall.load_program(code, egress.name(guard.stage_mask))
        stack.callback(os.close, fd)
        return fd

    def _attach(self, guard: EgressGuard, ifindex: int, place: _Place | None) -> None:
        """Load, fill, then replace in one step: no packet meets a half-made program or map."""
        with ExitStack() as stack:
            fd = self._load(stack, guard, place.program if place else None)
            assert guard.stage_mask is not None
            with kernel_errors(f"egress-guard {guard.key}: attaching"):
                if not any(q.get("kind") == "clsact" for q in self._ipr.get_qdiscs(index=ifindex)):
                    self._saved.save(saved_settings.CLSACT, str(ifindex), "none")
                    self._ipr.tc("add", "clsact", ifindex)
                self._ipr.tc(
                    "replace-filter",
                    "bpf",
                    ifindex,
                    f":{place.handle if place else _HANDLE}",
                    fd=fd,
                    name=egress.name(guard.stage_mask),
                    parent=_EGRESS,
                    classid=1,
                    direct_action=True,
                    prio=place.preference if place else self._free_preference(ifindex),
                    protocol=_ETH_P_ALL,
                )

    def _free_preference(self, ifindex: int) -> int:
        taken = {_TC.unpack_from(body)[4] >> 16 for body in self._filters(ifindex, _EGRESS)}
        return next(preference for preference in range(1, 1 << 16) if preference not in taken)

    def _detach(self, place: _Place) -> None:
        with kernel_errors(f"egress-guard of interface {place.ifindex}: detaching"):
            self._ipr.tc(
                "del-filter",
                "bpf",
                place.ifindex,
                f":{place.handle}",
                parent=_EGRESS,
                prio=place.preference,
                protocol=_ETH_P_ALL,
            )
            if str(place.ifindex) in self._saved.all(saved_settings.CLSACT):
                if not any(self._filters(place.ifindex, side) for side in (_INGRESS, _EGRESS)):
                    self._ipr.tc("del", "clsact", place.ifindex)
                self._saved.forget(saved_settings.CLSACT, str(place.ifindex))


def _is_clsact(body: bytes) -> bool:
    return dict(attributes(body[_TC.size :])).get(_KIND) == b"clsact\0"


def _ours(body: bytes) -> _Place | None:
    """The place of a filter, if its program bears our name."""
    _, ifindex, handle, _, info = _TC.unpack_from(body)
    said = dict(attributes(body[_TC.size :]))
    if said.get(_KIND) != b"bpf\0" or _OPTIONS not in said:
        return None
    about = dict(attributes(said[_OPTIONS]))
    name = about.get(_NAME, b"").rstrip(b"\0").decode(errors="replace")
    direct = int.from_bytes(about.get(_FLAGS, b""), "little" if struct.pack("=H", 1)[0] else "big") & _DIRECT_ACTION
    if egress.stage_mask_of(name) is None or not direct or _ID not in about:
        return None
    return _Place(ifindex, info >> 16, handle, struct.unpack("=I", about[_ID])[0])


def _contents(number: int) -> tuple[int | None, frozenset[GuardEntry]]:
    """Stage bit and entries of a program, as `assemble` would make it today; otherwise nothing."""
    with opened_program(number) as fd:
        info = syscall.program_info(fd)
    stage_mask = egress.stage_mask_of(info.name)
    if stage_mask is None or info.tag not in asm.tags(egress.assemble(stage_mask)):
        return None, frozenset()
    with opened_maps(number) as maps:
        # The tag does not cover the maps (bpf_prog_calc_tag() clears them).
        if {syscall.map_info(each) for each in maps.values()} != {egress.PREFIXES_MAP, egress.COUNTERS_MAP}:
            return None, frozenset()
        trie = maps[egress.PREFIXES]
        keys = list(syscall.keys(trie, egress.PREFIXES_MAP.key_size))
        values = [(key, syscall.lookup(trie, key, egress.PREFIXES_MAP.value_size)) for key in keys]
    return stage_mask, frozenset(egress.parse_element(key, value) for key, value in values if value is not None)
