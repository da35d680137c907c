"""One pass: the whole flow of the program, in the order in which data goes.

spec + facts -> topology -> desired ; kernel -> live ; plan = desired - live
check the plan, apply it step by step, and verify: the plan made anew must be empty
when somebody else changes the same meanwhile: plan the rest anew
when a step fails: plan back to what was, apply that, and say so
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from nvi_operator.errors import ChangedMeanwhileError, NviError, RevertError, VerifyError
from nvi_operator.plan.compile import desired_state, edited_state
from nvi_operator.plan.diff import plan
from nvi_operator.plan.preview import Preview
from nvi_operator.spec.edits import Edit
from nvi_operator.spec.models import GatewaySpec
from nvi_operator.state.change import Change, Plan
from nvi_operator.state.facts import Facts
from nvi_operator.state.host import HostState
from nvi_operator.topology.edit import edited
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve

REPLANS = 3  # of a pass that somebody else comes in between


class Kernel(Protocol):
    """What a pass needs of a kernel; `kernel/host.py` is the real one, `testing.py` has a fake."""

    def facts(self) -> Facts: ...

    def observe(self, desired: HostState) -> HostState: ...

    def check(self, plan: Plan) -> None: ...

    def apply(self, change: Change) -> None: ...


@dataclass(frozen=True)
class Gateway:
    """What a pass is for: a spec by its name, or None for a gateway that shall not be."""

    name: str
    spec: GatewaySpec | None
    _meant: list[tuple[Facts, Topology, HostState]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )
    _seen: list[Preview] = field(default_factory=list, init=False, repr=False, compare=False)

    def meaning(self, facts: Facts) -> tuple[Topology | None, HostState]:
        """The topology, and all that is wanted; the same objects as last time, if the facts mean the same."""
        if self.spec is None:
            return None, HostState()
        meant = self._meant[-1] if self._meant else None
        if meant is None or meant[0] is not facts:  # equal ones are mostly the same ones
            if meant is None or meant[0] != facts:
                topology = resolve(self.name, self.spec, facts, meant[1] if meant else None)
                if meant is None or meant[1] != topology:  # most facts mean nothing to a gateway
                    meant = facts, topology, desired_state(topology)
            self._meant[:] = [(facts, *meant[1:])]
        return meant[1:]

    def preview(self, topology: Topology | None, live: HostState, desired: HostState) -> Preview:
        """From live to desired; the same object as last time, if both are the same objects."""
        seen = self._seen[-1] if self._seen else None
        if seen is None or seen.plan.before is not live or seen.plan.after is not desired:
            seen = Preview(topology, plan(live, desired))
            self._seen[:] = [seen]
        return seen

    def after(self, spec: GatewaySpec, edit: Edit) -> Gateway:
        """The gateway with another spec, which differs by an edit of forwards: what is known of it stays known."""
        gateway = Gateway(self.name, spec)
        for facts, topology, desired in self._meant:
            if found := edited(topology, edit.less, edit.more):
                state = edited_state(desired, found)
                gateway._meant[:] = [(facts, found.whole, state)] if state else []
        return gateway


def preview(kernel: Kernel, gateway: Gateway) -> Preview:
    """What would be done. Changes nothing."""
    topology, desired = gateway.meaning(kernel.facts())
    return gateway.preview(topology, kernel.observe(desired), desired)


def reconcile(
    kernel: Kernel,
    gateway: Gateway,
    *,
    held: Collection[str] = (),
    on_step: Callable[[Change], None] = lambda change: None,
) -> Preview:
    """Make the kernel hold what the spec says. Returns what was done.

    `held` names objects to leave alone, because someone else keeps changing them. Raises what the check
    or the failing step raised, after everything is as it was; VerifyError likewise; RevertError if the
    way back failed, too.
    """
    todo = preview(kernel, gateway).without(held)
    if not todo.plan:
        return todo
    kernel.check(todo.plan)
    try:
        _apply(kernel, gateway, todo, held, on_step)
        left = preview(kernel, gateway).without(held)
        if left.plan:
            names = ", ".join(str(change.ref) for change in left.plan.steps[:3])
            raise VerifyError(f"verify: wanted no difference after apply: still differs: {names}")
    except NviError as error:
        revert(kernel, todo.plan, error)
        if not _auto_means_another_dataplane(kernel, gateway, todo):
            raise
        return reconcile(kernel, gateway, held=held, on_step=on_step)
    return todo


def _auto_means_another_dataplane(kernel: Kernel, gateway: Gateway, tried: Preview) -> bool:
    """A module that the kernel refused to load is not chosen a second time. Only trying tells, for its signature."""
    if gateway.spec is None or tried.topology is None or gateway.spec.dataplane.type != "auto":
        return False
    return resolve(gateway.name, gateway.spec, kernel.facts()).dataplane != tried.topology.dataplane


def _apply(
    kernel: Kernel, gateway: Gateway, todo: Preview, held: Collection[str], on_step: Callable[[Change], None]
) -> None:
    """Every step. Where somebody else is at work, too, the rest is planned anew, from wherever it got to."""
    for last in (False,) * REPLANS + (True,):
        try:
            for change in todo.plan.steps:
                on_step(change)
                kernel.apply(change)
            return
        except ChangedMeanwhileError:
            if last:
                raise
        todo = preview(kernel, gateway).without(held)


def revert(kernel: Kernel, failed: Plan, cause: NviError) -> None:
    """Back to what was before `failed`, from wherever it got to."""
    try:
        back = plan(kernel.observe(failed.after), failed.before)
        for change in back.steps:
            kernel.apply(change)
        left = plan(kernel.observe(failed.before), failed.before)
    except NviError as error:
        raise RevertError(f"revert: {error.message}; it was begun because of: {cause.message}") from error
    if left:
        raise RevertError(f"revert: {left.steps[0].ref} differs still; begun because of: {cause.message}")
