"""The kernel of the network namespace that the calling thread is in, as one object: facts, observe, check, apply."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from nvi_operator.errors import CapabilityError
from nvi_operator.kernel import nvi_device
from nvi_operator.kernel.bpf.counters import read_counters
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.drivers.fib_rule import FibRuleDriver
from nvi_operator.kernel.drivers.link import LinkDriver
from nvi_operator.kernel.drivers.link_group import LinkGroupDriver
from nvi_operator.kernel.drivers.module import ModuleDriver
from nvi_operator.kernel.drivers.nft_table import NftTableDriver
from nvi_operator.kernel.drivers.route import RouteDriver
from nvi_operator.kernel.drivers.sysctl import SysctlDriver
from nvi_operator.kernel.drivers.tc_program import TcProgramDriver
from nvi_operator.kernel.facts import read_facts
from nvi_operator.kernel.lent import Lent
from nvi_operator.kernel.netns import cookie
from nvi_operator.kernel.survey_machine import capabilities
from nvi_operator.ruleset.table import TABLE
from nvi_operator.spec.models import Numbers
from nvi_operator.state.change import Change, Plan
from nvi_operator.state.facts import Facts
from nvi_operator.state.host import HostState
from nvi_operator.state.link import Link
from nvi_operator.state.tc import TcProgram


class HostKernel:
    """A pass's handle on the kernel; close it, or use it in `with`. Not to be moved between namespaces.

    pyroute2 leaks a little per request on an open socket, so a daemon makes a new one for every pass. The driver
    of the table may last, if it is given.
    """

    def __init__(self, numbers: Numbers, table: NftTableDriver | None = None) -> None:
        from pyroute2 import IPRoute

        self._cookie = cookie()
        self._ipr: Any = IPRoute(ext_ack=True)
        lent = Lent(self._cookie)
        self._module = ModuleDriver()
        self._lasting = table is not None
        self._nft = table or NftTableDriver(TABLE)
        links = LinkDriver(self._ipr, numbers.link_group + 1)
        self._program = TcProgramDriver(self._ipr, lambda: [link.ifname for link in links.observe(HostState())])
        drivers: tuple[Driver, ...] = (
            self._module,
            links,
            self._program,
            self._nft,
            LinkGroupDriver(self._ipr, lent),
            RouteDriver(self._ipr, numbers.protocol),
            FibRuleDriver(self._ipr, numbers.protocol),
            SysctlDriver(lent),
        )
        self._drivers: Mapping[str, Driver] = MappingProxyType({d.kind: d for d in drivers})

    def __enter__(self) -> HostKernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._ipr.close()
        if not self._lasting:
            self._nft.close()

    def facts(self) -> Facts:
        return read_facts(self._ipr, self._cookie)

    def observe(self, desired: HostState) -> HostState:
        """Everything of ours. `desired` says where to look, never what is ours."""
        _need_rights()
        return HostState.of(
            (driver.kind, obj) for driver in self._drivers.values() for obj in driver.observe(desired)
        )

    def check(self, plan: Plan) -> None:
        """Would the kernel take it? Nothing is changed."""
        if len(plan.steps) == 1 and plan.steps[0].ref.kind == self._nft.kind and self._nft.is_whole(plan.steps[0]):
            return  # a single transaction fails as a whole, too, and the rehearsal takes longer than all the rest
        for change in plan.steps:
            if change.ref.kind == self._module.kind:
                self._module.check(change)
            if change.ref.kind == self._nft.kind:
                self._nft.check(change)
            if change.ref.kind == self._program.kind:
                self._program.check(change)

    def counters(self, live: HostState) -> dict[str, dict[str, int]]:
        """What the device and the table counted, in packets; empty where there is nothing to count."""
        groups: dict[str, dict[str, int]] = {}
        for program in live.of_kind(TcProgramDriver.kind):
            if isinstance(program, TcProgram):
                groups[f"device {program.ifname}"] = read_counters(self._ipr, program.ifname)
        for link in live.of_kind(LinkDriver.kind):
            if isinstance(link, Link) and link.kind == nvi_device.KIND:
                groups[f"device {link.ifname}"] = nvi_device.read_counters(link.ifname)
        table = self._nft.counters()
        return {**groups, f"nft table inet {TABLE}": table} if table else groups

    def apply(self, change: Change) -> None:
        self._drivers[change.ref.kind].apply(change)


def _need_rights() -> None:
    """nft tables can be neither seen nor changed without."""
    if "CAP_NET_ADMIN" not in capabilities():
        raise CapabilityError(
            "kernel: wanted to see and change nft tables: CAP_NET_ADMIN is missing", hint="run as root, or use sudo"
        )
