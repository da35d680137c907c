"""Topology -> desired state: every kind says what it wants."""

from __future__ import annotations

from types import MappingProxyType

from nvi_operator.kinds import KINDS
from nvi_operator.state.host import HostState
from nvi_operator.topology.edit import EditedTopology
from nvi_operator.topology.model import Topology


def desired_state(topology: Topology) -> HostState:
    """Pure; equal topologies give equal states."""
    return HostState.of((kind.name, obj) for kind in KINDS.values() for obj in kind.desired(topology))


def edit_state(desired: HostState, topology: EditedTopology) -> HostState | None:
    """What `desired_state` would say after an edit of forwards, which only the table knows of. None: ask it."""
    states = {}
    for ref, obj in desired.objects.items():
        after = KINDS[ref.kind].edited(obj, topology)
        if after is None:
            return None
        states[ref] = after
    return HostState(MappingProxyType(states))
