"""Each gateway that differs, with the plan from one side to the other, and the flows that fare otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nvi_operator.explain.surroundings import machine_of
from nvi_operator.language.load.loader import LoadedSpec
from nvi_operator.language.model.values import Address
from nvi_operator.plan.compile import desired_state
from nvi_operator.plan.diff import plan
from nvi_operator.plan.incremental import state_after
from nvi_operator.preview.classes import FlowChange, Gateway, flow_changes
from nvi_operator.preview.few import with_few_forwards
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
    pair = with_few_forwards(pair)
    specs = [loaded.spec for loaded in (pair.before, pair.after) if loaded]
    names = frozenset().union(*map(named_interfaces, specs))
    before = _meaning(pair.before, facts, names)
    delta = topology_after(before.topology, pair.delta) if before.topology and pair.delta else None
    new = state_after(before.state, delta) if delta else None
    if delta is not None and new is not None:
        found = replace(plan(before.state, new), topology=delta.whole, delta=delta)
        after = _Meaning(before.facts, delta.whole, new)
        publics = {entry.public for side in (delta.removed, delta.added) for entry in side.forwards}
        flows = _flows(before, after, sorted(publics, key=str)) if found else []
    else:
        after = _meaning(pair.after, facts, names)
        found = replace(plan(before.state, after.state), topology=after.topology)
        flows = _flows(before, after) if found else []
    return GatewayChange(pair.name, pair.directory, specs[-1], found, before.topology, pair.moved, tuple(flows))


@dataclass(frozen=True)
class _Meaning:
    """What a spec means; nothing where there is none."""

    facts: Facts
    topology: Topology | None = None
    state: HostState = field(default_factory=HostState)


def _meaning(loaded: LoadedSpec | None, facts: Facts, names: frozenset[str]) -> _Meaning:
    if loaded is None:
        return _Meaning(facts)
    known = assume_missing(loaded.spec, facts, names)
    topology = resolve(loaded.name, loaded.spec, known)
    return _Meaning(known, topology, desired_state(topology))


def _flows(before: _Meaning, after: _Meaning, only: Sequence[Address] | None = None) -> list[FlowChange]:
    """Of a gateway that is new or removed none: all of its flows are. `only`: of flows to these addresses."""
    if before.topology is None or after.topology is None:
        return []
    old, new = (
        Gateway(topology, machine_of(topology, meaning.state, meaning.facts))
        for meaning, topology in ((before, before.topology), (after, after.topology))
    )
    return flow_changes(old, new, only)
