"""The kernel module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nvi_operator.errors import CapabilityError
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.handles import Handles
from nvi_operator.kernel.kmod.load import load
from nvi_operator.kernel.kmod.survey import survey_module
from nvi_operator.kinds.module import MODULE, Module
from nvi_operator.kmod.verdict import judge
from nvi_operator.plan.change import Change
from nvi_operator.state.host import HostState


class ModuleDriver(Driver):
    """Never unloads the module: others may use it."""

    kind = MODULE.name

    @classmethod
    def create(cls, handles: Handles, drivers: Mapping[str, Driver]) -> ModuleDriver:
        return cls()

    def observe(self, desired: HostState) -> Iterator[Module]:
        """A module that is too old does not count as loaded: the plan loads one, and the check refuses."""
        modules = [obj for obj in desired.of_kind(self.kind) if isinstance(obj, Module)]
        if modules and judge(survey_module()).in_kernel:
            yield from modules

    def check(self, change: Change) -> None:
        """Raises CapabilityError where it cannot be loaded."""
        if not isinstance(change.after, Module):
            return
        verdict = judge(survey_module())
        if not verdict.usable:
            otherwise = "set spec.dataplane.type to auto or bpf"
            raise CapabilityError(
                f"module {change.after.name}: load for dataplane kmod: {verdict.why}",
                hint=f"{verdict.hint}; or {otherwise}" if verdict.todo else otherwise,
            )

    def apply(self, change: Change) -> None:
        if isinstance(change.after, Module):
            load()
