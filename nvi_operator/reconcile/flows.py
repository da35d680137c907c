"""Flows that a plan strands: counted for a preview, and after an apply ended, where the spec says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from nvi_operator.errors import NviError
from nvi_operator.language.model.values import Network
from nvi_operator.plan.change import Plan
from nvi_operator.plan.stranded import StrandedFlows
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.topology.flows import FlowQuestion, StrandedCount, TrackedFlow


class FlowKernel(Protocol):
    """What is asked of a kernel."""

    def tracked_flows(self, question: FlowQuestion) -> Iterable[TrackedFlow]: ...

    def end_flows(self, flows: Sequence[TrackedFlow]) -> int: ...


def with_stranded(kernel: FlowKernel, compiler: Compiler, plan: Plan, *, end: bool = False) -> Plan:
    """The plan, with what it strands. `end`: it was applied, and the spec says what becomes of those flows.

    An address that is lost while there is no other one yet, as between two leases, is remembered by the compiler.
    """
    spec = compiler.spec
    if spec is None or not plan or plan.topology is None:
        return plan
    asked = StrandedFlows(spec, plan, compiler.lost)
    found: list[StrandedCount] = []
    waiting: set[Network] = set()
    for question in asked.questions():
        ended = 0 if end else None
        try:
            there = list(kernel.tracked_flows(question))
            flows = [flow for flow in there if asked.is_stranded(question, flow)]
            if question.lost and question.translated and len(there) > len(flows):
                waiting.add(question.translated)
            if end and flows and spec.stranded_flows == "end":
                ended = kernel.end_flows(flows)
        except NviError as error:  # the gateway is as it should be all the same
            found.append(StrandedCount(f"{question.why}: {error.message}", 0, ended))
            continue
        if flows:
            found.append(StrandedCount(question.why, len(flows), ended))
    if end:
        compiler.lost = frozenset(waiting)
    return replace(plan, stranded=tuple(found))
