"""The program at the device's egress. Nothing is pinned: its maps are found through the program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import CapabilityError, NviError
from nvi_operator.kernel.bpf import live, objects, program, syscall
from nvi_operator.kernel.bpf.clsact import PARENTS, Filter, delete_filter, list_filters, put_filter
from nvi_operator.kernel.bpf.live import opened_maps
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.handles import Handles
from nvi_operator.kernel.netlink.interfaces import ifindex_for, ifindex_of
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kinds.link import LINK
from nvi_operator.kinds.tc_program import TC_PROGRAM, InInterface, ProgramOptions, TcProgram
from nvi_operator.plan.change import Change
from nvi_operator.state.host import HostState

_PRIO = 1
_HANDLE = 1
_ETH_P_ALL = 3


class TcProgramDriver(Driver):
    kind = TC_PROGRAM.name
    loads_programs = True

    def __init__(
        self, ipr: Any, rtnetlink: Rtnetlink, devices: Callable[[HostState], Iterable[str]] = lambda desired: ()
    ) -> None:
        """`devices` names the owned links: programs elsewhere are not looked for."""
        self._ipr = ipr
        self._rtnetlink = rtnetlink
        self._devices = devices

    @classmethod
    def create(cls, handles: Handles, drivers: Mapping[str, Driver]) -> TcProgramDriver:
        def devices(desired: HostState) -> Iterator[str]:
            return (link.key for link in drivers[LINK.name].observe(desired))

        return cls(handles.ipr, handles.rtnetlink, devices)

    def observe(self, desired: HostState) -> Iterator[TcProgram]:
        """The program at the operator's place on every owned device."""
        for ifname in self._devices(desired):
            place = self._place(ifname)
            if place is not None:
                yield TcProgram(ifname, *_contents(place))

    def program_id(self, ifname: str) -> int | None:
        """The number of the gateway's program on the device; None where there is none, or another's."""
        place = self._place(ifname)
        return place.number if place is not None and _contents(place)[0] is not None else None

    def is_on(self, ifname: str) -> bool:
        """Does the device carry the program of this version of the operator?"""
        return self.program_id(ifname) is not None

    def counters(self, live: HostState) -> dict[str, dict[str, int]]:
        programs = [obj for obj in live.of_kind(self.kind) if isinstance(obj, TcProgram)]
        return {f"device {program.ifname}": read_counters(self._rtnetlink, program.ifname) for program in programs}

    def apply(self, change: Change) -> None:
        assert isinstance(change.present, TcProgram)
        if not isinstance(change.after, TcProgram):
            self._detach(change.present.ifname)
            return
        place = self._place(change.after.ifname)
        number = place.number if place is not None else None
        if number is not None and place is not None and _contents(place)[0] == change.after.options:
            with opened_maps(number) as maps:
                _fill(maps[program.PORTS], change.after)
        else:
            self._attach(change.after, place)

    def _place(self, ifname: str) -> _Place | None:
        """The program on the device. The device is owned, so whatever is there may be replaced."""
        with kernel_errors(f"tc-program {ifname} egress: looking for it"):
            index = ifindex_of(ifname)
            filters = list_filters(self._rtnetlink, index, "egress") if index is not None else []
        for each in filters:
            if each.preference != _PRIO:
                continue
            if each.kind != "bpf" or each.protocol != _ETH_P_ALL:
                return _Place(None, False, foreign=True)
            if each.handle == _HANDLE and not each.is_head:
                return _Place(each.program, each.direct_action)
        return None

    def _clear_place(self, index: int) -> None:
        """Delete the filters at the gateway's preference: all of one preference are of one kind and one protocol."""
        self._ipr.tc("del-filter", index=index, parent=PARENTS["egress"], prio=_PRIO, protocol=0)

    def _clear_qdisc(self, index: int) -> None:
        """A qdisc ingress takes the place of clsact, and neither can be changed into the other."""
        if any(qdisc.get("kind") == "ingress" for qdisc in self._ipr.get_qdiscs(index=index)):
            self._ipr.tc("del", "ingress", index)

    def check(self, change: Change) -> None:
        """Does this kernel take the program? Load it, and let it go."""
        if isinstance(change.after, TcProgram) and change.after.options is not None:
            with objects.load(program.OBJECT, constants=program.constants(change.after.options)):
                pass

    def _attach(self, desired: TcProgram, place: _Place | None) -> None:
        """Load, fill, then replace in one step: no packet meets a half-made program.

        Counters go on in the previous program's map, also if another version of the operator made that.
        """
        assert desired.options is not None
        previous = place.number if place is not None else None
        with ExitStack() as stack:
            kept = stack.enter_context(opened_maps(previous)) if previous is not None else {}
            goes_on = program.COUNTERS in kept and syscall.map_info(kept[program.COUNTERS]) == program.COUNTERS_MAP
            loaded = stack.enter_context(
                objects.load(
                    program.OBJECT,
                    constants=program.constants(desired.options),
                    reuse={program.COUNTERS: kept[program.COUNTERS]} if goes_on else {},
                )
            )
            _fill(loaded.maps[program.PORTS], desired)
            with kernel_errors(f"tc-program {desired.key}: attaching"):
                index = ifindex_for(f"tc-program {desired.key}: attaching", desired.ifname)
                if not any(q.get("kind") == "clsact" for q in self._ipr.get_qdiscs(index=index)):
                    self._clear_qdisc(index)
                    self._ipr.tc("add", "clsact", index)
                if place is not None and place.foreign:
                    self._clear_place(index)
                put_filter(self._ipr, _filter(index), loaded.programs[program.NAME])

    def _detach(self, ifname: str) -> None:
        """Remove the operator's filter, if it is there; the clsact qdisc stays, another program may use it."""
        place = self._place(ifname)
        if place is None or place.foreign:
            return
        with kernel_errors(f"tc-program {ifname} egress: detaching"):
            delete_filter(self._ipr, _filter(ifindex_for(f"tc-program {ifname} egress: detaching", ifname)))


def _filter(ifindex: int) -> Filter:
    """Where the program is."""
    return Filter(ifindex, "egress", program.NAME, 0, _PRIO, _HANDLE)


@dataclass(frozen=True)
class _Place:
    """The filter at the gateway's handle: its program (None for a classic one), and whether it decides by itself."""

    number: int | None
    direct_action: bool
    foreign: bool = False  # filters of another kind or protocol have this preference, where no program can be


def _contents(place: _Place) -> tuple[ProgramOptions | None, frozenset[InInterface]]:
    """Options and interfaces of a program that this version would load; otherwise nothing."""
    if place.number is None or not place.direct_action:
        return None, frozenset()
    with opened_maps(place.number) as maps:
        found = live.read_constants(program.OBJECT, maps, (program.PORTS_MAP, program.COUNTERS_MAP))
        if found is None:
            return None, frozenset()
        entries = _entries(maps[program.PORTS])
    ports = frozenset(program.parse_port(key, value) for key, value in entries.items())
    return program.options_of(found), ports


def _fill(fd: int, desired: TcProgram) -> None:
    """Make the ports map hold the desired entries, or its earlier ones if the kernel refuses that."""
    if len(desired.ports) > program.PORTS_MAP.entries:
        raise CapabilityError(
            f"tc-program {desired.key}: {len(desired.ports)} interfaces: at most {program.PORTS_MAP.entries} fit",
            hint="divide the interfaces among several gateways, in network namespaces of their own",
        )
    before = _entries(fd)
    try:
        _write(fd, {program.port_key(port.ifindex): program.port_value(port.mac) for port in desired.ports})
    except NviError:
        _write(fd, before)
        raise


def _entries(fd: int) -> dict[bytes, bytes]:
    found = {key: syscall.lookup(fd, key, program.PORTS_MAP.value_size) for key in syscall.keys(fd, 4)}
    return {key: value for key, value in found.items() if value is not None}


def _write(fd: int, entries: Mapping[bytes, bytes]) -> None:
    """Deletes first, so that new entries fit; entries that stay are never absent."""
    for key in _entries(fd).keys() - entries.keys():
        syscall.delete(fd, key)
    for key, value in entries.items():
        syscall.update(fd, key, value)


def read_counters(rtnetlink: Rtnetlink, ifname: str) -> dict[str, int]:
    """Packets by reason, summed over the CPUs; empty where there is no program of the operator."""
    number = TcProgramDriver(None, rtnetlink).program_id(ifname)
    if number is None:
        return {}
    with opened_maps(number) as maps:
        return live.read_counters(maps[program.COUNTERS], program.REASONS)
