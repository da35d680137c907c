"""One pass: the whole flow of the program, in the order in which data goes.

under the lock of the gateway, from the first look to the end of verify or revert:
spec + facts -> topology -> desired ; kernel -> live ; plan = desired - live
check the plan, apply it step by step, and verify: the plan made anew must be empty
when somebody else changes the same meanwhile: plan the rest anew
when a step fails: plan back to what was, apply that, and say so
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Protocol

from nvi_operator.errors import NviError, RevertError, VerifyError
from nvi_operator.plan.change import Change, Plan
from nvi_operator.plan.diff import plan
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.state.host import HostState
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.resolve import resolve

REPLANS = 3  # of a pass that somebody else comes in between


OnStep = Callable[[Change], None]  # is told each step before it is done


def _unsaid(change: Change) -> None:
    """Nobody asked to be told."""


class Kernel(Protocol):
    """What a pass needs of a kernel; `kernel/host.py` is the real one, `testing.py` has a fake."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Within, no other process changes this gateway. Raises BusyError if another does not end in time."""
        ...

    def facts(self, wires: frozenset[str]) -> Facts: ...

    def observe(self, desired: HostState) -> HostState: ...

    def check(self, plan: Plan) -> None: ...

    def apply(self, change: Change) -> None: ...


def preview(kernel: Kernel, gateway: Compiler) -> Plan:
    """What would be done. Changes nothing."""
    topology, desired = gateway.meaning(kernel.facts(gateway.wires))
    return gateway.plan(topology, kernel.observe(desired), desired)


def reconcile(
    kernel: Kernel,
    gateway: Compiler,
    *,
    held: Collection[str] = (),
    on_step: OnStep = _unsaid,
) -> Plan:
    """Make the kernel hold what the spec says. Returns what was done.

    `held` names objects to leave alone, because someone else keeps changing them. Raises what the check
    or the failing step raised, after everything is as it was; VerifyError likewise; RevertError if the
    way back failed, too. BusyError if another process is changing the gateway; then nothing was done.
    """
    with kernel.exclusive():
        return _reconcile(kernel, gateway, held, on_step)


def _reconcile(kernel: Kernel, gateway: Compiler, held: Collection[str], on_step: OnStep) -> Plan:
    def look() -> Plan:
        return preview(kernel, gateway).without(held)

    todo = look()
    if not todo:
        return todo
    kernel.check(todo)
    try:
        return _settle(kernel, todo, look, on_step)
    except NviError as error:
        _revert(kernel, todo, held, error)
        if not _auto_means_another_dataplane(kernel, gateway, todo):
            raise
        return _reconcile(kernel, gateway, held, on_step)


def _settle(kernel: Kernel, todo: Plan, look: Callable[[], Plan], on_step: OnStep) -> Plan:
    """Apply and verify; and again where others changed something meanwhile, or the host did, as with a new lease."""
    done = todo
    for _ in range(REPLANS + 1):
        wanted = _apply(kernel, todo, look, on_step)
        todo = look()
        if not todo:
            return Plan(done.steps, done.before, wanted, todo.topology)
        done = done.followed_by(todo)
    names = ", ".join(str(change.ref) for change in todo.steps[:3])
    raise VerifyError(f"verify: wanted no difference after apply: still differs: {names}")


def _auto_means_another_dataplane(kernel: Kernel, gateway: Compiler, tried: Plan) -> bool:
    """A module that the kernel refused to load is not chosen a second time. Only trying tells, for its signature."""
    if gateway.spec is None or tried.topology is None or gateway.spec.dataplane.type != "auto":
        return False
    return resolve(gateway.name, gateway.spec, kernel.facts(gateway.wires)).dataplane != tried.topology.dataplane


def _apply(kernel: Kernel, todo: Plan, rest: Callable[[], Plan], on_step: OnStep) -> HostState:
    """Every step; returns what was wanted. Where somebody else is at work, too, the rest is planned anew."""
    for last in (False,) * REPLANS + (True,):
        try:
            for change in todo.steps:
                on_step(change)
                kernel.apply(change)
            return todo.after
        except NviError as error:
            if last or not error.transient:
                raise
        todo = rest()
    raise AssertionError("the last try returns or raises")


def _revert(kernel: Kernel, failed: Plan, held: Collection[str], cause: NviError) -> None:
    """Back to what was before `failed`, from wherever it got to."""

    def rest() -> Plan:
        return plan(kernel.observe(failed.after), failed.before).without(held)

    try:
        _apply(kernel, rest(), rest, _unsaid)
        left = plan(kernel.observe(failed.before), failed.before).without(held)
    except NviError as error:
        raise RevertError(f"revert: {error.message}; it was begun because of: {cause.message}") from error
    if left:
        raise RevertError(f"revert: {left.steps[0].ref} differs still; begun because of: {cause.message}")
