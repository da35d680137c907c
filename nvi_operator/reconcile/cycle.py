"""One reconcile: the whole flow of the program, in the order in which data flows.

under the gateway's lock, from the first look to the end of verify or revert:
spec + facts -> topology -> desired ; kernel -> live ; plan = desired - live
check the plan, apply it step by step, and verify: a second plan must be empty
another process changed something meanwhile: plan the remaining steps again; where they lead elsewhere (a new lease),
the caller accepts the whole again or refuses it
a step failed: plan back to the state before, apply that, and raise
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from nvi_operator.errors import NviError, RevertError, VerifyError
from nvi_operator.plan.change import NO_PLAN, Change, Plan
from nvi_operator.plan.diff import plan
from nvi_operator.plan.left_alone import split
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.flows import with_stranded
from nvi_operator.reconcile.outcome import Outcome
from nvi_operator.state.host import HostState
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.flows import FlowQuestion, TrackedFlow
from nvi_operator.topology.resolve import resolve

if TYPE_CHECKING:
    from nvi_operator.doctor.footprint import Footprint

REPLANS = 3  # in one reconcile, where other processes keep changing the gateway


OnStep = Callable[[Change], None]  # called with each step before it is applied


# Called with the plan before its first step, and during it with the whole of what became of it, where remaining steps
# that are planned again lead to another state; may raise an NviError.
Accept = Callable[[Plan], None]


def _ignore(change: Change) -> None:
    """The listener of callers that do not follow the steps."""


def _any(plan: Plan) -> None:
    """Accepts whatever plan it is."""


class Observed(Protocol):
    """What a dry run needs of a kernel, or of what one held once (`plan/observation.py`)."""

    def facts(self, wires: frozenset[str], flow_cache: Footprint | None) -> Facts: ...

    def observe(self, desired: HostState) -> HostState: ...


class AnyKernel(Observed, Protocol):
    """What a reconcile needs of a kernel; `kernel/` has the real one, `testing.py` a fake."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Within, no other process changes this gateway. Raises BusyError if another does not end in time."""
        ...

    def check(self, plan: Plan) -> None: ...

    def apply(self, change: Change) -> None: ...

    def tracked_flows(self, question: FlowQuestion) -> Iterable[TrackedFlow]: ...

    def end_flows(self, flows: Iterable[TrackedFlow]) -> int: ...


def dry_run(kernel: Observed, compiler: Compiler) -> Plan:
    """What a reconcile would do. Changes nothing."""
    topology, desired = compiler.meaning(kernel.facts(compiler.wires, compiler.flow_cache))
    return compiler.plan(topology, kernel.observe(desired), desired)


def reconcile(
    kernel: AnyKernel,
    compiler: Compiler,
    *,
    paused: Collection[str] = (),
    reached: HostState | None = None,
    on_step: OnStep = _ignore,
    accept: Accept = _any,
) -> Outcome:
    """Make the kernel hold what the spec says. Returns what was done.

    `paused` names objects to leave alone, because another process keeps changing them. `reached` is the desired
    state of the last reconcile: what differs from it in the kernel is drift, and the spec's policy says what becomes
    of it. Without one all is made as the spec says. Raises what the check or the failing
    step raised, after everything is as it was; VerifyError likewise; RevertError if the revert failed as well.
    BusyError if another process is changing the gateway; then nothing was done. What `accept` raises: likewise.
    """
    left = NO_PLAN
    first: Plan | None = None
    accepted: HostState | None = None

    def look() -> Plan:
        nonlocal left, first, accepted
        seen = dry_run(kernel, compiler).without(paused)
        todo, left = split(seen, compiler.spec.drift if compiler.spec else None, reached)
        if first is None:
            first = todo
            accept(todo)
        elif accepted != todo.after:
            accept(_as_a_whole(first, todo, paused))
        accepted = todo.after
        return todo

    with kernel.exclusive():
        done = _reconcile(kernel, compiler, paused, look, on_step)
        done = with_stranded(kernel, compiler, done, end=True)
    notes = done.topology.notes if done.topology else ()
    return Outcome(compiler.name, plan=done, requested=reached != done.after, notes=notes, left=left)


def _reconcile(
    kernel: AnyKernel,
    compiler: Compiler,
    paused: Collection[str],
    look: Callable[[], Plan],
    on_step: OnStep,
) -> Plan:
    todo = look()
    if not todo:
        return todo
    kernel.check(todo)
    try:
        return _settle(kernel, todo, look, on_step)
    except NviError as error:
        _revert(kernel, todo, paused, error)
        if not _auto_chooses_another_dataplane(kernel, compiler, todo):
            error.reverted = True
            raise
        return _reconcile(kernel, compiler, paused, look, on_step)


def _as_a_whole(first: Plan, now: Plan, paused: Collection[str]) -> Plan:
    """What leads from the state before `first` to the one that `now` leads to."""
    whole = plan(first.before, now.after).without(paused)
    return replace(whole, topology=now.topology)


def _settle(kernel: AnyKernel, todo: Plan, look: Callable[[], Plan], on_step: OnStep) -> Plan:
    """Apply and verify; repeated where others changed something meanwhile, or the host did, as with a new lease."""
    done = todo
    for _ in range(REPLANS + 1):
        reached = _apply(kernel, todo, look, on_step)
        todo = look()
        if not todo:
            return replace(done, after=reached, topology=todo.topology)
        done = done.followed_by(todo)
    names = ", ".join(str(change.ref) for change in todo.steps[:3])
    raise VerifyError(f"verify: expected no difference after apply: still differs: {names}")


def _auto_chooses_another_dataplane(kernel: AnyKernel, compiler: Compiler, tried: Plan) -> bool:
    """A module that the kernel refused to load is not chosen a second time. Its signature shows only by trying."""
    if compiler.spec is None or tried.topology is None or compiler.spec.dataplane.type != "auto":
        return False
    facts = kernel.facts(compiler.wires, compiler.flow_cache)
    return resolve(compiler.name, compiler.spec, facts).dataplane != tried.topology.dataplane


def _apply(kernel: AnyKernel, todo: Plan, look: Callable[[], Plan], on_step: OnStep) -> HostState:
    """Apply every step; returns the state aimed at. Where another process interferes, the remaining steps are
    planned again.
    """
    for last in (False,) * REPLANS + (True,):
        try:
            for change in todo.steps:
                on_step(change)
                kernel.apply(change)
            return todo.after
        except NviError as error:
            if last or not error.transient:
                raise
        todo = look()
    raise AssertionError("the last try returns or raises")


def _revert(kernel: AnyKernel, failed: Plan, paused: Collection[str], cause: NviError) -> None:
    """Back to the state before `failed`, from wherever it got to."""

    def look() -> Plan:
        return plan(kernel.observe(failed.after), failed.before).without(paused)

    try:
        _apply(kernel, look(), look, _ignore)
        left = plan(kernel.observe(failed.before), failed.before).without(paused)
    except NviError as error:
        raise RevertError(f"revert: {error.message}; it was begun because of: {cause.message}") from error
    if left:
        raise RevertError(f"revert: {left.steps[0].ref} still differs; it was begun because of: {cause.message}")
