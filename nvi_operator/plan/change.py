"""A plan is data: steps in the order in which they are applied. Dry-run, diff, apply and revert read this."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import field, replace
from enum import StrEnum

from nvi_operator.dataclass import dataclass
from nvi_operator.kinds import KINDS
from nvi_operator.kinds.link import Link
from nvi_operator.state.host import HostState, Object, Ref
from nvi_operator.topology.flows import StrandedCount
from nvi_operator.topology.incremental import TopologyDelta
from nvi_operator.topology.model import Topology


class Action(StrEnum):
    """The closed vocabulary of what can happen to an object."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True)
class Change:
    """One step: what becomes of one object."""

    ref: Ref
    action: Action
    before: Object | None
    after: Object | None

    @property
    def present(self) -> Object:
        """The object itself: as it will be, or, if it is deleted, as it was."""
        obj = self.after if self.after is not None else self.before
        assert obj is not None
        return obj


@dataclass(frozen=True)
class Plan:
    """The steps that lead from `before` to `after`.

    `topology` is what the spec means on this host; None for a plan that removes the gateway or compares two states.
    `stranded` are the flows that lose their translation by it, as far as they were counted.
    `delta` is known where `after` was made, by an edit of a few forwards, from what was desired before.
    """

    steps: tuple[Change, ...]
    before: HostState
    after: HostState
    topology: Topology | None = None
    delta: TopologyDelta | None = field(default=None, compare=False)
    stranded: tuple[StrandedCount, ...] = field(default=(), compare=False)
    ignored: tuple[str, ...] = field(default=(), compare=False)  # objects that differ, and that a policy leaves out

    @property
    def names(self) -> frozenset[str]:
        """The objects that it changes, as `Ref` names them."""
        return frozenset(str(change.ref) for change in self.steps)

    def without(self, paused: Collection[str]) -> Plan:
        """The plan without the steps that touch paused objects (names as of `Ref`), or what cannot be there without
        one: the routes into a device that another process deletes or sets down.
        """
        left = [change for change in self.steps if str(change.ref) in paused] if paused else []
        if not left:
            return self
        off = {KINDS[change.ref.kind].is_link(change.present) for change in left if _is_off(change)} - {None}
        steps = tuple(
            change
            for change in self.steps
            if str(change.ref) not in paused and KINDS[change.ref.kind].lives_on(change.present) not in off
        )
        return replace(self, steps=steps)

    def followed_by(self, other: Plan) -> Plan:
        """This plan, then the other."""
        return Plan((*self.steps, *other.steps), self.before, other.after, other.topology)

    def __bool__(self) -> bool:
        return bool(self.steps)


def _is_off(change: Change) -> bool:
    """If it is a link: would it have to be made, or set up?"""
    return not (isinstance(change.before, Link) and change.before.up)


NO_PLAN = Plan((), HostState(), HostState())
