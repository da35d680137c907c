"""Servers of forwards that have probes: where each is, what its probes say, whether it takes new flows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.services import Target
from nvi_operator.topology.health import UNKNOWN, HealthFacts, ProbedState, Server
from nvi_operator.topology.interfaces import Inside, Interface


@dataclass(frozen=True)
class ForwardServer:
    """A server of the forward `forward`. `interface`: the inside one that it is behind; None: none is declared.

    The target's weight is 0 where it takes no new flows: its probes say that it is down, and another one is used.
    """

    forward: str
    target: Target
    interface: Interface | None
    health: ProbedState

    @property
    def name(self) -> Server:
        return Server(self.forward, str(self.target))

    @property
    def takes_flows(self) -> bool:
        return self.target.weight > 0


def forward_servers(
    forward: str, targets: Sequence[Target], tenant: int, inside_interfaces: Sequence[Inside], health: HealthFacts
) -> Iterator[ForwardServer]:
    """The servers of one family of a forward with probes, after `health.chosen`."""
    for target in targets:
        state = health.servers.get(Server(forward, str(target)), UNKNOWN)
        yield ForwardServer(forward, target, _interface(target, tenant, inside_interfaces), state)


def _interface(target: Target, tenant: int, inside_interfaces: Sequence[Inside]) -> Interface | None:
    """Networks of one tenant do not overlap."""
    return next(
        (
            inside.interface
            for inside in inside_interfaces
            if inside.tenant == tenant and any(target.address in network for network in inside.networks)
        ),
        None,
    )
