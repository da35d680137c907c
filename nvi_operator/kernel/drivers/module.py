"""The kernel module."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.errors import CapabilityError
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.kmod.load import load
from nvi_operator.kernel.kmod.survey import survey_module
from nvi_operator.kinds.module import Module
from nvi_operator.kmod.verdict import judge
from nvi_operator.plan.change import Change
from nvi_operator.state.host import HostState


class ModuleDriver(Driver):
    """A loaded module stays when we go: others may use it by then."""

    kind = "module"

    def observe(self, desired: HostState) -> Iterator[Module]:
        """One that is too old does not count: the plan then wants it loaded, and the check says what to do."""
        wanted = [obj for obj in desired.of_kind(self.kind) if isinstance(obj, Module)]
        if wanted and judge(survey_module()).in_kernel:
            yield from wanted

    def check(self, change: Change) -> None:
        """Raises CapabilityError where it cannot be loaded."""
        if not isinstance(change.after, Module):
            return
        verdict = judge(survey_module())
        if not verdict.usable:
            otherwise = "set spec.dataplane.type to auto or bpf"
            raise CapabilityError(
                f"module {change.after.name}: wanted for dataplane kmod: {verdict.why}",
                hint=f"{verdict.hint}; or {otherwise}" if verdict.todo else otherwise,
            )

    def apply(self, change: Change) -> None:
        if isinstance(change.after, Module):
            load()
