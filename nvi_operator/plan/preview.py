"""A plan together with the topology it was made from: what commands show and a pass applies."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from nvi_operator.plan.change import Plan
from nvi_operator.topology.model import Topology


@dataclass(frozen=True)
class Preview:
    """`topology` is None when everything is to go."""

    topology: Topology | None
    plan: Plan

    def without(self, held: Collection[str]) -> Preview:
        """The same, without the steps that touch what is held (names as of `Ref`)."""
        return Preview(self.topology, self.plan.without(held))
