"""Which differences the spec's drift policy leaves as they are. Pure.

A difference is drift where the last reconcile asked for the same object. What the spec or the host asks for since
then is applied, whatever the policy is; and what is missing is put back, because the kernel itself takes routes away
with an interface.
"""

from __future__ import annotations

from dataclasses import replace

from nvi_operator.kind import Phase
from nvi_operator.kinds import KINDS
from nvi_operator.kinds.route import Route
from nvi_operator.language.model.drift import DriftPolicy, Policy
from nvi_operator.plan.change import Action, Change, Plan
from nvi_operator.state.host import HostState

# What refuses untranslated packets is healed, whatever kind it is of.
_CLOSES = (Phase.UNREACHABLE, Phase.BACKSTOP)


def policy_of(drift: DriftPolicy, plan: Plan, change: Change) -> Policy:
    """What the policy says of an object."""
    obj, topology = change.present, plan.topology
    if change.action is Action.CREATE or KINDS[change.ref.kind].phase(obj) in _CLOSES:
        return "heal"
    if isinstance(obj, Route) and topology and obj.table == topology.table:  # which leads into the device
        return "heal"
    return drift.of(*change.ref)


def without_ignored(plan: Plan, drift: DriftPolicy | None) -> Plan:
    """The plan without what is ignored, which it names."""
    ignored = frozenset(str(c.ref) for c in plan.steps if drift and policy_of(drift, plan, c) == "ignore")
    return replace(plan.without(ignored), ignored=tuple(sorted(ignored))) if ignored else plan


def split(plan: Plan, drift: DriftPolicy | None, reached: HostState | None) -> tuple[Plan, Plan]:
    """What is to be done, and what is only reported. `reached` is what the last reconcile desired."""
    if not plan:
        return plan, plan
    if drift is None or reached is None:
        return plan, replace(plan, steps=())
    drifted = [change for change in plan.steps if reached.objects.get(change.ref) == change.after]
    policies = {str(change.ref): policy_of(drift, plan, change) for change in drifted}
    left = {name: policy for name, policy in policies.items() if policy != "heal"}
    reported = tuple(change for change in drifted if left.get(str(change.ref)) == "report")
    return plan.without(left), replace(plan, steps=reported)
