"""The program at the device's egress. Nothing is pinned: its maps are found through the program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from nvi_operator.errors import KernelError
from nvi_operator.kernel.bpf import asm, program, syscall
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.state.change import Change
from nvi_operator.state.host import HostState
from nvi_operator.state.link import Link
from nvi_operator.state.tc import Port, TcProgram

_EGRESS = 0xFFFFFFF3  # the parent of filters at clsact's egress
_PRIO = 1
_HANDLE = 1
_ETH_P_ALL = 3


class TcProgramDriver:
    kind = "tc-program"

    def __init__(self, ipr: Any) -> None:
        _teach_pyroute2()
        self._ipr = ipr

    def observe(self, desired: HostState) -> Iterator[TcProgram]:
        """The program at our place on every device that bears one of ours or shall bear one."""
        for ifname in sorted({obj.ifname for obj in desired.of_kind("link") if isinstance(obj, Link)} or {"nvi0"}):
            number = self.program_id(ifname)
            if number is not None:
                yield self._describe(ifname, number)

    def program_id(self, ifname: str) -> int | None:
        """The number of the program at our place; None where there is none."""
        with kernel_errors(f"tc-program {ifname}: looking for it"):
            for index in self._ipr.link_lookup(ifname=ifname):
                for entry in self._ipr.get_filters(index=index, parent=_EGRESS):
                    options = entry.get("TCA_OPTIONS")
                    if entry["info"] >> 16 == _PRIO and entry["handle"] == _HANDLE and options is not None:
                        number = options.get("TCA_BPF_ID")
                        return None if number is None else int(number)
        return None

    def apply(self, change: Change) -> None:
        ifname = change.present.ifname if isinstance(change.present, TcProgram) else ""
        if not isinstance(change.after, TcProgram):
            self._detach(ifname)
            return
        number = self.program_id(ifname)
        same = isinstance(change.before, TcProgram) and change.before.options == change.after.options
        if same and number is not None:
            with opened_maps(number) as maps:
                self._fill(maps[program.PORTS], change.after)
        else:
            self._attach(change.after, number)

    def _describe(self, ifname: str, number: int) -> TcProgram:
        with opened_program(number) as fd:
            info = syscall.program_info(fd)
        options = program.options_of(info.name)
        if options is None or info.tag not in asm.tags(program.assemble(options)):
            return TcProgram(ifname, None, frozenset())
        with opened_maps(number) as maps:
            fd = maps[program.PORTS]
            ports = [
                program.parse_port(key, value)
                for key in syscall.keys(fd, 4)
                if (value := syscall.lookup(fd, key, 8)) is not None
            ]
        return TcProgram(ifname, options, frozenset(port for port in ports if port.ifindex != program.SELF))

    def _attach(self, wanted: TcProgram, previous: int | None) -> None:
        """Load, fill, then replace in one step: no packet meets a half-made program. Counters go on."""
        assert wanted.options is not None
        with ExitStack() as stack:
            fds = {program.PORTS: syscall.create_map(syscall.HASH, 4, 8, program.MAX_PORTS, program.PORTS)}
            stack.callback(os.close, fds[program.PORTS])
            kept = stack.enter_context(opened_maps(previous)) if previous is not None else {}
            if program.COUNTERS in kept:
                fds[program.COUNTERS] = kept[program.COUNTERS]
            else:
                fds[program.COUNTERS] = syscall.create_map(
                    syscall.PERCPU_ARRAY, 4, 8, len(program.REASONS), program.COUNTERS
                )
                stack.callback(os.close, fds[program.COUNTERS])
            self._fill(fds[program.PORTS], wanted)
            name = program.name(wanted.options)
            fd = syscall.load_program(asm.encode(program.assemble(wanted.options), fds), name)
            stack.callback(os.close, fd)
            with kernel_errors(f"tc-program {wanted.key}: attaching"):
                index = self._index(wanted.ifname)
                if not any(q.get("kind") == "clsact" for q in self._ipr.get_qdiscs(index=index)):
                    self._ipr.tc("add", "clsact", index)
                self._ipr.tc(
                    "replace-filter",
                    "bpf",
                    index,
                    f":{_HANDLE}",
                    fd=fd,
                    name=name,
                    parent=_EGRESS,
                    classid=1,
                    direct_action=True,
                    prio=_PRIO,
                    protocol=_ETH_P_ALL,
                )

    def _fill(self, fd: int, wanted: TcProgram) -> None:
        """Make the ports map hold what is wanted, adding before taking away."""
        with kernel_errors(f"{wanted.ifname}: reading its address"):
            (link,) = self._ipr.get_links(self._index(wanted.ifname))
        ports = {*wanted.ports, Port(program.SELF, link.get("address"))}
        entries = {program.port_key(port.ifindex): program.port_value(port.mac) for port in ports}
        for key, value in entries.items():
            syscall.update(fd, key, value)
        for key in [key for key in syscall.keys(fd, 4) if key not in entries]:
            syscall.delete(fd, key)

    def _index(self, ifname: str) -> int:
        found: list[int] = self._ipr.link_lookup(ifname=ifname)
        if not found:
            raise KernelError(f"{ifname}: wanted for the eBPF program: no such interface")
        return found[0]

    def _detach(self, ifname: str) -> None:
        with kernel_errors(f"tc-program {ifname} egress: detaching"):
            for index in self._ipr.link_lookup(ifname=ifname):
                self._ipr.tc(
                    "del-filter", "bpf", index, f":{_HANDLE}", parent=_EGRESS, prio=_PRIO, protocol=_ETH_P_ALL
                )


def _teach_pyroute2() -> None:
    """pyroute2 0.9 does not know the attributes that say which program a filter runs (pkt_cls.h)."""
    from pyroute2.netlink.rtnl.tcmsg import sched_bpf

    known = sched_bpf.options.nla_map
    newer = (("TCA_BPF_FLAGS_GEN", "uint32"), ("TCA_BPF_TAG", "hex"), ("TCA_BPF_ID", "uint32"))
    if "TCA_BPF_ID" not in {name for name, _ in known}:
        sched_bpf.options.nla_map = (*known, *newer)


@contextmanager
def opened_program(number: int) -> Iterator[int]:
    fd = syscall.program_fd(number)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def opened_maps(number: int) -> Iterator[dict[str, int]]:
    """File descriptors of a program's maps, by name."""
    with ExitStack() as stack:
        fd = stack.enter_context(opened_program(number))
        maps: dict[str, int] = {}
        for map_id in syscall.program_info(fd).map_ids:
            map_fd = syscall.map_fd(map_id)
            stack.enter_context(closing(os.fdopen(map_fd, "rb", buffering=0)))
            maps[syscall.map_name(map_fd)] = map_fd
        yield maps
