"""The fast way to the desired state: after an edit of a few forwards only the objects that forwards are in change."""

from __future__ import annotations

from types import MappingProxyType

from nvi_operator.kinds import KINDS
from nvi_operator.state.host import HostState
from nvi_operator.topology.incremental import TopologyDelta


def state_after(desired: HostState, topology: TopologyDelta) -> HostState | None:
    """What `desired_state` would make of the topology after the edit. None: only `desired_state` can tell."""
    states = {}
    for ref, obj in desired.objects.items():
        after = KINDS[ref.kind].edited(obj, topology)
        if after is None:
            return None
        states[ref] = after
    return HostState(MappingProxyType(states))
