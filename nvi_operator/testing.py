"""A fake kernel with fault injection, for tests of whatever drives a kernel. Shipped for the tests of users.

    kernel = FakeKernel(facts=..., fail_at=3)
    reconcile(kernel, Gateway("edge", spec))      # the third change is refused: everything is as before

It keeps objects as they are given: what a real kernel makes of them is what tests/contract compares.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field
from typing import TYPE_CHECKING

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import KernelError
from nvi_operator.kinds import KINDS
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.plan.change import Action, Change, Plan
from nvi_operator.state.host import HostState, Object, Ref
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.flows import FlowQuestion, TrackedFlow

if TYPE_CHECKING:
    from nvi_operator.doctor.footprint import Footprint


class Killed(BaseException):
    """What a kill -9 looks like from inside: nothing catches it, nothing is cleaned up."""


@dataclass
class FakeKernel:
    """A kernel in memory. `fail_at` and `kill_at` count changes from 1, over the kernel's whole life."""

    facts_: Facts
    objects: dict[Ref, Object] = field(default_factory=dict)
    fail_at: int | None = None
    kill_at: int | None = None
    refuse: bool = False  # does the check refuse?
    applied: list[Change] = field(default_factory=list)
    warnings: tuple[str, ...] = ()

    @classmethod
    def for_spec(cls, spec: GatewaySpec) -> FakeKernel:
        """A host that has every interface that the spec names."""
        return cls(assume_missing(spec, Facts("fake")))

    def exclusive(self) -> AbstractContextManager[None]:
        return nullcontext()

    def facts(self, wires: frozenset[str] = frozenset(), flow_cache: Footprint | None = None) -> Facts:
        return self.facts_

    def observe(self, desired: HostState) -> HostState:
        return HostState(dict(self.objects))

    def tracked_flows(self, question: FlowQuestion) -> list[TrackedFlow]:
        return []

    def end_flows(self, flows: Iterable[TrackedFlow]) -> int:
        return sum(1 for _ in flows)

    def check(self, plan: Plan) -> None:
        if self.refuse:
            raise KernelError("fake: check: refused")

    def apply(self, change: Change) -> None:
        self.applied.append(change)
        count = len(self.applied)
        if count == self.kill_at:
            raise Killed
        if count == self.fail_at:
            raise KernelError(f"{change.ref}: {change.action}: refused by the test")
        have = self.objects.get(change.ref)
        if have != change.before:
            raise KernelError(f"{change.ref}: {change.action}: is {have}, was planned as {change.before}")
        link = None if change.before is None else KINDS[change.ref.kind].is_link(change.before)
        if link is not None and change.action in (Action.DELETE, Action.REPLACE):
            self.lose_link(link)
        if change.after is None:
            self.objects.pop(change.ref, None)
        else:
            self.objects[change.ref] = change.after

    def lose_link(self, ifname: str) -> None:
        """A link disappears with all that lives on it: its routes, its programs, its settings."""
        for ref, obj in self.state:
            kind = KINDS[ref.kind]
            if ifname in (kind.is_link(obj), kind.lives_on(obj)):
                del self.objects[ref]

    def drop(self, refs: Iterable[Ref]) -> None:
        """Another process deletes owned objects."""
        for ref in refs:
            del self.objects[ref]

    @property
    def state(self) -> HostState:
        return HostState(dict(self.objects))
