"""Topology -> desired state: every kind names the objects it needs."""

from __future__ import annotations

from nvi_operator.kinds import KINDS
from nvi_operator.state.host import HostState
from nvi_operator.topology.model import Topology


def desired_state(topology: Topology) -> HostState:
    """Pure; equal topologies give equal states."""
    return HostState.of((kind.name, obj) for kind in KINDS.values() for obj in kind.desired(topology))
