"""Everything but the nft table: the facts, and the objects of ours that are read and changed one by one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from nvi_operator.kernel.bpf.counters import read_counters
from nvi_operator.kernel.bpf.egress import EGRESS
from nvi_operator.kernel.bpf.ingress import INGRESS
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.drivers.fib_rule import FibRuleDriver
from nvi_operator.kernel.drivers.guard import GuardDriver
from nvi_operator.kernel.drivers.link import LinkDriver
from nvi_operator.kernel.drivers.link_group import LinkGroupDriver
from nvi_operator.kernel.drivers.module import ModuleDriver
from nvi_operator.kernel.drivers.route import RouteDriver
from nvi_operator.kernel.drivers.sysctl import SysctlDriver, forwarding_now
from nvi_operator.kernel.drivers.tc_program import TcProgramDriver
from nvi_operator.kernel.inspect.facts import read_facts
from nvi_operator.kernel.kmod import device as nvi_device
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kernel.netns import cookie
from nvi_operator.kinds.egress_guard import EgressGuard
from nvi_operator.kinds.ingress_guard import IngressGuard
from nvi_operator.kinds.link import Link
from nvi_operator.kinds.tc_program import TcProgram
from nvi_operator.language.model.settings import Numbers
from nvi_operator.plan.change import Change
from nvi_operator.state.host import HostState
from nvi_operator.store.saved_settings import SavedSettings
from nvi_operator.topology.facts import Facts


class Objects:
    """Of the network namespace in which it was made. Takes milliseconds to make; close it."""

    def __init__(self, numbers: Numbers) -> None:
        from pyroute2 import IPRoute

        self._cookie = cookie()
        self._protocol = numbers.protocol
        self._ipr: Any = IPRoute(ext_ack=True)
        self._rtnetlink = Rtnetlink()
        self._saved = SavedSettings(self._cookie)
        self._settings = SysctlDriver(self._saved)
        self._groups = LinkGroupDriver(self._ipr, self._saved, numbers.link_group)
        routes = RouteDriver(self._rtnetlink, numbers.protocol)
        program = TcProgramDriver(self._ipr, lambda desired: [link.ifname for link in links.observe(desired)])
        links = LinkDriver(self._ipr, numbers, routed=routes.devices, programmed=program.is_on)
        self._egress = GuardDriver(EGRESS, EgressGuard, self._ipr, self._rtnetlink, self._saved)
        self._ingress = GuardDriver(INGRESS, IngressGuard, self._ipr, self._rtnetlink, self._saved)
        drivers: tuple[Driver, ...] = (
            ModuleDriver(),
            links,  # before all that goes with a link, see `memory.py`
            program,
            self._egress,
            self._ingress,
            self._groups,
            routes,
            FibRuleDriver(self._rtnetlink, numbers.protocol),
            self._settings,
        )
        self._drivers: Mapping[str, Driver] = MappingProxyType({d.kind: d for d in drivers})

    def close(self) -> None:
        self._ipr.close()
        self._rtnetlink.close()

    def facts(self, wires: Collection[str]) -> Facts:
        saved = self._saved.all(SysctlDriver.kind)
        return read_facts(self._ipr, self._rtnetlink, self._cookie, wires, self._protocol, saved)

    def observe(self, desired: HostState) -> HostState:
        """`desired` says where to look, never what is ours."""
        found = HostState.of(
            (driver.kind, obj) for driver in self._drivers.values() for obj in driver.observe(desired)
        )
        if found.objects and self._saved.incomplete:
            found = found.plus((self._groups.kind, obj) for obj in self._groups.unrecorded())
        return found.plus((self._settings.kind, obj) for obj in self._settings.unrecorded(found))

    def begin(self, live: HostState, first: Change) -> None:
        """Before the first step of a pass, `live` being what was there: completes the record of settings."""
        self._saved.begin(
            forwarding_now(),
            {
                **{("sysctl", ref.key): self._settings.default(ref.key) for ref, _ in live if ref.kind == "sysctl"},
                **{("link-group", ref.key): "0" for ref, _ in live if ref.kind == "link-group"},
            },
            stands=bool(live.objects),
            needed=first.after is not None,
        )

    def end(self, live: HostState) -> None:
        """After a pass that left this: the record goes with the gateway."""
        if not live.objects:
            self._saved.end()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was found to be wrong with the record of settings."""
        return self._saved.warnings

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
        for place, guard in (("egress of the uplinks", self._egress), ("ingress of the interfaces", self._ingress)):
            if refused := guard.counters():
                groups[place] = refused
        return groups
