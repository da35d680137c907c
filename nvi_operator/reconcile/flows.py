"""Flows that a plan strands: counted for a dry run, and after an apply ended, where the spec says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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

    def end_flows(self, flows: Iterable[TrackedFlow]) -> int: ...


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
        ended, live = 0 if end else None, not question.unanswered
        tally = _Tally(asked, question)
        try:
            stranded = tally.of(kernel.tracked_flows(question))
            if end and spec.stranded_flows == "end":
                ended = kernel.end_flows(stranded)
            for _ in stranded:
                pass
        except NviError as error:  # the gateway is as it should be all the same
            found.append(StrandedCount(f"{question.why}: {error.message}", tally.stranded, ended, live))
            continue
        if question.lost and question.translated and tally.others:
            waiting.add(question.translated)
        if tally.stranded:
            found.append(StrandedCount(question.why, tally.stranded, ended, live))
    if end:
        compiler.lost = frozenset(waiting)
    return replace(plan, stranded=tuple(found))


class _Tally:
    """Passes the stranded flows on, one by one, and counts both sorts: there may be a million."""

    def __init__(self, asked: StrandedFlows, question: FlowQuestion) -> None:
        self.stranded = self.others = 0
        self._asked = asked
        self._question = question

    def of(self, flows: Iterable[TrackedFlow]) -> Iterator[TrackedFlow]:
        for flow in flows:
            if self._asked.is_stranded(self._question, flow):
                self.stranded += 1
                yield flow
            else:
                self.others += 1
