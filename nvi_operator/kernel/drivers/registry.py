"""The registry of drivers. To add one: docs/how-to/add-a-kind.md."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from nvi_operator.errors import NviError
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.drivers.egress_guard import EgressGuardDriver
from nvi_operator.kernel.drivers.fib_rule import FibRuleDriver
from nvi_operator.kernel.drivers.flow_cache import FlowCacheDriver
from nvi_operator.kernel.drivers.ingress_guard import IngressGuardDriver
from nvi_operator.kernel.drivers.link import LinkDriver
from nvi_operator.kernel.drivers.link_group import LinkGroupDriver
from nvi_operator.kernel.drivers.module import ModuleDriver
from nvi_operator.kernel.drivers.nft_table import NftTableDriver
from nvi_operator.kernel.drivers.proxy_neighbour import ProxyNeighbourDriver
from nvi_operator.kernel.drivers.route import RouteDriver
from nvi_operator.kernel.drivers.sysctl import SysctlDriver
from nvi_operator.kernel.drivers.tc_program import TcProgramDriver
from nvi_operator.kernel.handles import Handles
from nvi_operator.kinds import KINDS

# In the order in which they observe: links before all that lives on a link, see `cached.py`.
_DRIVERS: tuple[type[Driver], ...] = (
    ModuleDriver,
    LinkDriver,
    TcProgramDriver,
    EgressGuardDriver,
    IngressGuardDriver,
    FlowCacheDriver,
    LinkGroupDriver,
    RouteDriver,
    FibRuleDriver,
    SysctlDriver,
    ProxyNeighbourDriver,
    NftTableDriver,
)

DRIVERS: Mapping[str, type[Driver]] = MappingProxyType({driver.kind: driver for driver in _DRIVERS})


class Drivers(Mapping[str, Driver]):
    """A driver for each kind, made when it is first asked for. NviError where a kind and a driver do not match."""

    def __init__(self, handles: Handles) -> None:
        _require_match(KINDS, DRIVERS)
        self._handles = handles
        self._made: dict[str, Driver] = {}

    def __getitem__(self, kind: str) -> Driver:
        if kind not in self._made:
            self._made[kind] = DRIVERS[kind].create(self._handles, self)
        return self._made[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(DRIVERS)

    def __len__(self) -> int:
        return len(DRIVERS)

    def release(self) -> None:
        """After a reconcile: drivers that follow their objects stay, the others go with the sockets."""
        for kind, driver in list(self._made.items()):
            driver.release()
            if not driver.follows:
                self._made.pop(kind).close()
        self._handles.release()

    def close(self) -> None:
        self.release()
        for driver in self._made.values():
            driver.close()
        self._made.clear()


def _require_match(kinds: Collection[str], drivers: Collection[str]) -> None:
    if missing := sorted(set(kinds) - set(drivers)):
        raise NviError(
            f"kind {missing[0]}: no driver observes and applies it",
            hint="add its driver to kernel/drivers/registry.py",
        )
    if unknown := sorted(set(drivers) - set(kinds)):
        raise NviError(
            f"driver of kind {unknown[0]}: no such kind is planned", hint="add the kind to kinds/__init__.py"
        )
