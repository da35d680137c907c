"""The gateway that is checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.topology.model import Topology

if TYPE_CHECKING:
    from nvi_operator.explain.machine import Machine


@dataclass(frozen=True, eq=False)
class ResolvedGateway:
    """What a spec means on a host. `foreign_rules`: does the host have FIB rules of others?

    `make_machine` compiles all of it, and needs much code: it is called once, and only if packets are walked.
    """

    spec: GatewaySpec
    topology: Topology
    make_machine: Callable[[], Machine]
    foreign_rules: bool = False
