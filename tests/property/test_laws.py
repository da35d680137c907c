"""The laws of house: what must hold for every gateway, and after every fault."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvi_operator.errors import KernelError, RevertError
from nvi_operator.kinds import KINDS
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.plan.change import Action, Plan
from nvi_operator.plan.compile import desired_state
from nvi_operator.plan.diff import plan
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import reconcile
from nvi_operator.state.host import HostState
from nvi_operator.testing import FakeKernel, Killed
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.resolve import resolve
from tests.property.strategies import specs


def desired(spec: GatewaySpec) -> HostState:
    return desired_state(resolve("edge", spec, assume_missing(spec, Facts("host"))))


def after(steps: Plan, state: HostState) -> HostState:
    """What a kernel holds that applied the steps."""
    kernel = FakeKernel(Facts("host"), objects=dict(state.objects))
    for change in steps.steps:
        kernel.apply(change)
    return kernel.state


@given(specs())
def test_a_state_needs_no_steps_to_itself(spec: GatewaySpec) -> None:
    assert not plan(desired(spec), desired(spec))


@given(specs(), specs())
def test_applying_a_plan_yields_what_was_desired(one: GatewaySpec, other: GatewaySpec) -> None:
    live, target = desired(one), desired(other)
    assert after(plan(live, target), live) == target


@given(specs(), specs())
def test_the_way_back_restores_what_was_before(one: GatewaySpec, other: GatewaySpec) -> None:
    live, target = desired(one), desired(other)
    forward = plan(live, target)
    assert after(plan(forward.after, forward.before), after(forward, live)) == live


@given(specs(), st.randoms(use_true_random=False))
def test_a_plan_does_not_depend_on_the_order_of_mappings(spec: GatewaySpec, shuffle: random.Random) -> None:
    data = spec.model_dump(by_alias=True, exclude_none=True)
    for section in ("interfaces", "uplinks", "forwards"):
        items = list(data[section].items())
        shuffle.shuffle(items)
        data[section] = dict(items)
    shuffled = GatewaySpec.model_validate(data)
    assert plan(HostState(), desired(shuffled)) == plan(HostState(), desired(spec))


@given(specs(), specs())
def test_steps_are_in_phase_order_and_deletes_come_last(one: GatewaySpec, other: GatewaySpec) -> None:
    steps = plan(desired(one), desired(other)).steps
    phases = [KINDS[s.ref.kind].phase(s.present) for s in steps]
    deletes = [s.action is Action.DELETE for s in steps]
    assert deletes == sorted(deletes)
    builds = [p for p, gone in zip(phases, deletes, strict=True) if not gone]
    gone = [p for p, is_gone in zip(phases, deletes, strict=True) if is_gone]
    assert builds == sorted(builds)
    assert gone == sorted(gone, reverse=True)


@given(specs(), specs(), st.data())
def test_a_refusal_at_any_step_leaves_exactly_what_was_before(
    one: GatewaySpec, other: GatewaySpec, data: st.DataObject
) -> None:
    kernel = FakeKernel.for_spec(other)
    kernel.objects = dict(desired(one).objects)
    before = kernel.state
    steps = len(plan(before, desired(other)).steps)
    if not steps:
        return
    kernel.facts_ = assume_missing(other, Facts("host"))
    kernel.fail_at = data.draw(st.integers(1, steps))
    with pytest.raises(KernelError):
        reconcile(kernel, Compiler("edge", other))
    assert kernel.state == before


@given(specs(), specs(), st.data())
def test_a_kill_between_any_two_steps_is_made_good_by_the_next_pass(
    one: GatewaySpec, other: GatewaySpec, data: st.DataObject
) -> None:
    kernel = FakeKernel.for_spec(other)
    kernel.objects = dict(desired(one).objects)
    kernel.facts_ = assume_missing(other, Facts("host"))
    steps = len(plan(kernel.state, desired(other)).steps)
    if not steps:
        return
    kernel.kill_at = data.draw(st.integers(1, steps))
    with pytest.raises(Killed):
        reconcile(kernel, Compiler("edge", other))
    kernel.kill_at = None
    reconcile(kernel, Compiler("edge", other))
    assert kernel.state == desired(other)


@given(specs())
def test_a_refused_check_changes_nothing(spec: GatewaySpec) -> None:
    kernel = FakeKernel.for_spec(spec)
    kernel.refuse = True
    with pytest.raises(KernelError):
        reconcile(kernel, Compiler("edge", spec))
    assert kernel.applied == []


@given(specs(), st.data())
def test_two_refusals_in_a_row_are_reported_as_a_failed_revert(spec: GatewaySpec, data: st.DataObject) -> None:
    steps = len(plan(HostState(), desired(spec)).steps)
    at = data.draw(st.integers(2, steps))

    class Stubborn(FakeKernel):
        def apply(self, change):  # type: ignore[no-untyped-def]
            if len(self.applied) >= at:
                raise KernelError("no more")
            super().apply(change)

    kernel = Stubborn(assume_missing(spec, Facts("host")), fail_at=at)
    with pytest.raises(RevertError):
        reconcile(kernel, Compiler("edge", spec))


@given(specs())
def test_down_leaves_nothing(spec: GatewaySpec) -> None:
    kernel = FakeKernel.for_spec(spec)
    reconcile(kernel, Compiler("edge", spec))
    reconcile(kernel, Compiler("edge", None))
    assert not kernel.objects
