"""Each gateway that differs, with the plan from one side to the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nvi_operator.language.load.loader import LoadedSpec
from nvi_operator.plan.change import Plan
from nvi_operator.plan.compile import desired_state
from nvi_operator.plan.diff import plan
from nvi_operator.plan.incremental import state_after
from nvi_operator.preview.gateways import Pair, Side, pairs
from nvi_operator.preview.model import GatewayChange, Preview
from nvi_operator.state.host import HostState
from nvi_operator.topology.assume import assume_missing, named_interfaces
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.incremental import topology_after
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve


def preview(base: Side, head: Side, patterns: Sequence[str], facts: Facts) -> Preview:
    """From `base` to `head`, in the directories that match. What `facts` lack is assumed. Raises NviError."""
    found, refused = pairs(base, head, patterns)
    changes = [change_of(pair, facts) for pair in found]
    return Preview(
        base.label,
        head.label,
        tuple(change for change in changes if change.plan or change.moved),
        tuple(refused),
        tuple(change.name for change in changes if not change.plan and not change.moved),
    )


def change_of(pair: Pair, facts: Facts) -> GatewayChange:
    """What becomes of one gateway."""
    both = [loaded.spec for loaded in (pair.before, pair.after) if loaded]
    names = frozenset().union(*map(named_interfaces, both))
    before, old = _meaning(pair.before, facts, names)
    found = _edited(pair, before, old)
    if found is None:
        after, new = _meaning(pair.after, facts, names)
        found = replace(plan(old, new), topology=after)
    return GatewayChange(pair.name, pair.directory, both[-1], found, before, pair.moved)


def _meaning(loaded: LoadedSpec | None, facts: Facts, names: frozenset[str]) -> tuple[Topology | None, HostState]:
    if loaded is None:
        return None, HostState()
    topology = resolve(loaded.name, loaded.spec, assume_missing(loaded.spec, facts, names))
    return topology, desired_state(topology)


def _edited(pair: Pair, before: Topology | None, old: HostState) -> Plan | None:
    """The plan of an edit of a few forwards. None: the whole has to be compiled."""
    delta = topology_after(before, pair.delta) if before and pair.delta else None
    new = state_after(old, delta) if delta else None
    if delta is None or new is None:
        return None
    return replace(plan(old, new), topology=delta.whole, delta=delta)
