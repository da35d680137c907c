"""Each gateway that differs, with the plan from one side to the other, and the flows that fare otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field, replace

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.language.load.loader import LoadedSpec
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import Address
from nvi_operator.plan.compile import desired_state
from nvi_operator.plan.diff import plan
from nvi_operator.plan.incremental import state_after
from nvi_operator.plan.origins import Origins
from nvi_operator.preview.classes import GatewaySide, flow_changes
from nvi_operator.preview.few import with_few_forwards
from nvi_operator.preview.gateways import Pair, Side, pairs
from nvi_operator.preview.model import GatewayChange, Preview
from nvi_operator.preview.ways import way_changes
from nvi_operator.state.host import HostState
from nvi_operator.topology.assume import assume_missing, named_interfaces
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.incremental import topology_after
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve

FactsOf = Callable[[GatewaySpec], Facts]  # of the host of a gateway, as far as they are known


def preview(
    base: Side, head: Side, patterns: Sequence[str], facts: FactsOf = lambda _: Facts(""), *, draws: bool = False
) -> Preview:
    """From `base` to `head`, in the directories that match. What `facts` lack is assumed; `draws`: with the ways of
    flows through entries of the spec. Raises NviError.
    """
    found, refused = pairs(base, head, patterns)
    changes = [change_of(pair, facts(_spec_of(pair)), draws=draws) for pair in found]
    return Preview(
        base.label,
        head.label,
        tuple(change for change in changes if change.plan or change.moved),
        tuple(refused),
        tuple(change.name for change in changes if not change.plan and not change.moved),
    )


def change_of(pair: Pair, facts: Facts, *, draws: bool = False) -> GatewayChange:
    """What becomes of one gateway."""
    whole, pair = pair, with_few_forwards(pair)
    specs = [loaded.spec for loaded in (pair.before, pair.after) if loaded]
    names = frozenset().union(*map(named_interfaces, specs))
    before = _meaning(pair.before, facts, names)
    delta = topology_after(before.topology, pair.delta) if before.topology and pair.delta else None
    new = state_after(before.state, delta) if delta else None
    only: list[Address] | None = None
    if delta is not None and new is not None:
        after = _Meaning(before.facts, pair.after, delta.whole, new)
        found = replace(plan(before.state, new), topology=delta.whole, delta=delta)
        publics = {entry.public for side in (delta.removed, delta.added) for entry in side.forwards}
        only = sorted(publics, key=str)
    else:
        after = _meaning(pair.after, facts, names)
        found = replace(plan(before.state, after.state), topology=after.topology)
    old_side, new_side = before.gateway(), after.gateway()
    flows = flow_changes(old_side, new_side, only) if found and old_side and new_side else []
    drawn = way_changes(before.traced(), after.traced(), flows) if draws and flows else []
    return GatewayChange(
        pair.name, pair.directory, _spec_of(whole), found, before.topology, pair.moved, tuple(flows), tuple(drawn)
    )


def _spec_of(pair: Pair) -> GatewaySpec:
    """The one after, or the last."""
    loaded = pair.after or pair.before
    assert loaded is not None
    return loaded.spec


@dataclass(frozen=True)
class _Meaning:
    """What a spec means; nothing where there is none."""

    facts: Facts
    loaded: LoadedSpec | None = None
    topology: Topology | None = None
    state: HostState = field(default_factory=HostState)

    def gateway(self) -> GatewaySide | None:
        """A machine to walk packets through."""
        if self.topology is None:
            return None
        return GatewaySide(self.topology, machine_of(self.topology, self.state, self.facts))

    def traced(self) -> GatewaySide:
        """The side with a machine that knows where in the spec everything is from."""
        assert self.topology is not None
        assert self.loaded is not None
        origin = Origins(self.topology, self.loaded.spec, self.state)
        return GatewaySide(self.topology, machine_of(self.topology, self.state, self.facts, origin=origin))


def _meaning(loaded: LoadedSpec | None, facts: Facts, names: frozenset[str]) -> _Meaning:
    if loaded is None:
        return _Meaning(facts)
    known = assume_missing(loaded.spec, facts, names)
    topology = resolve(loaded.name, loaded.spec, known)
    return _Meaning(known, loaded, topology, desired_state(topology))
