"""The programs of the flow cache at the interfaces of the gateway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nvi_operator.errors import CapabilityError
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.handles import Handles
from nvi_operator.kinds.flow_cache import FLOW_CACHE, FlowCachePrograms
from nvi_operator.plan.change import Change
from nvi_operator.state.host import HostState


class FlowCacheDriver(Driver):
    kind = FLOW_CACHE.name
    loads_programs = True

    @classmethod
    def create(cls, handles: Handles, drivers: Mapping[str, Driver]) -> FlowCacheDriver:
        return cls()

    def observe(self, desired: HostState) -> Iterator[FlowCachePrograms]:
        yield from ()

    def check(self, change: Change) -> None:
        raise CapabilityError("flow cache: this version has no programs for it", hint="set flowCache: off")

    def apply(self, change: Change) -> None:
        self.check(change)
