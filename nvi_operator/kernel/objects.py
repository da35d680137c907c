"""Everything but the nft table: the facts, and the objects of ours that are read and changed one by one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from nvi_operator.kernel import nvi_device
from nvi_operator.kernel.bpf.counters import read_counters
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.drivers.egress_guard import EgressGuardDriver
from nvi_operator.kernel.drivers.fib_rule import FibRuleDriver
from nvi_operator.kernel.drivers.link import LinkDriver
from nvi_operator.kernel.drivers.link_group import LinkGroupDriver
from nvi_operator.kernel.drivers.module import ModuleDriver
from nvi_operator.kernel.drivers.route import RouteDriver
from nvi_operator.kernel.drivers.sysctl import SysctlDriver
from nvi_operator.kernel.drivers.tc_program import TcProgramDriver
from nvi_operator.kernel.facts import read_facts
from nvi_operator.kernel.lent import Lent
from nvi_operator.kernel.netns import cookie
from nvi_operator.kernel.rtnetlink import Rtnetlink
from nvi_operator.spec.models import Numbers
from nvi_operator.state.change import Change
from nvi_operator.state.facts import Facts
from nvi_operator.state.host import HostState
from nvi_operator.state.link import Link
from nvi_operator.state.tc import TcProgram


class Objects:
    """Of the network namespace in which it was made. Takes milliseconds to make; close it."""

    def __init__(self, numbers: Numbers) -> None:
        from pyroute2 import IPRoute

        self._cookie = cookie()
        self._protocol = numbers.protocol
        self._ipr: Any = IPRoute(ext_ack=True)
        self._rtnetlink = Rtnetlink()
        lent = Lent(self._cookie)
        routes = RouteDriver(self._rtnetlink, numbers.protocol)
        program = TcProgramDriver(self._ipr, lambda desired: [link.ifname for link in links.observe(desired)])
        links = LinkDriver(self._ipr, numbers, routed=routes.devices, programmed=program.is_on)
        self._guard = EgressGuardDriver(self._ipr, self._rtnetlink, lent)
        drivers: tuple[Driver, ...] = (
            ModuleDriver(),
            links,  # before all that goes with a link, see `memory.py`
            program,
            self._guard,
            LinkGroupDriver(self._ipr, lent),
            routes,
            FibRuleDriver(self._rtnetlink, numbers.protocol),
            SysctlDriver(lent),
        )
        self._drivers: Mapping[str, Driver] = MappingProxyType({d.kind: d for d in drivers})

    def close(self) -> None:
        self._ipr.close()
        self._rtnetlink.close()

    def facts(self, wires: Collection[str]) -> Facts:
        return read_facts(self._ipr, self._rtnetlink, self._cookie, wires, self._protocol)

    def observe(self, desired: HostState) -> HostState:
        """`desired` says where to look, never what is ours."""
        return HostState.of(
            (driver.kind, obj) for driver in self._drivers.values() for obj in driver.observe(desired)
        )

    def check(self, change: Change) -> None:
        """Would the kernel take it, as far as that can be known beforehand? Nothing is changed."""
        self._drivers[change.ref.kind].check(change)

    def apply(self, change: Change) -> None:
        self._drivers[change.ref.kind].apply(change)

    def counters(self, live: HostState) -> dict[str, dict[str, int]]:
        """What the device counted, in packets."""
        groups: dict[str, dict[str, int]] = {}
        for program in live.of_kind(TcProgramDriver.kind):
            if isinstance(program, TcProgram):
                groups[f"device {program.ifname}"] = read_counters(self._ipr, program.ifname)
        for link in live.of_kind(LinkDriver.kind):
            if isinstance(link, Link) and link.kind == nvi_device.KIND:
                groups[f"device {link.ifname}"] = nvi_device.read_counters(link.ifname)
        if refused := self._guard.counters():
            groups["egress of the uplinks"] = refused
        return groups
