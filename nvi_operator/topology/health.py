"""Does an uplink work beyond its own wire, and a server at all? A fact about the host, which probes find out
(`daemon/probes/`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from types import MappingProxyType
from typing import Literal, NamedTuple

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.health import Health
from nvi_operator.language.model.services import Target

State = Literal["up", "down", "unknown"]


@dataclass(frozen=True)
class ProbedState:
    """What the probes of one uplink, or of one server, say.

    `since` is the time of day (seconds since the epoch) at which the state began. `reason` says why, in a few words.
    unknown: no probe has ended yet, and it counts as if it had none.
    """

    state: State = "unknown"
    since: float = 0.0
    reason: str = ""


class Server(NamedTuple):
    """One server of one forward, as the spec writes it: `192.168.1.80:8443`."""

    forward: str
    server: str


@dataclass(frozen=True)
class HealthFacts:
    """All that probes say, of uplinks by their names. What is missing has no probes, or no daemon sends them."""

    uplinks: Mapping[str, ProbedState] = field(default_factory=lambda: MappingProxyType({}))
    servers: Mapping[Server, ProbedState] = field(default_factory=lambda: MappingProxyType({}))

    @staticmethod
    def of(states: Mapping[str | Server, ProbedState]) -> HealthFacts:
        return HealthFacts(
            MappingProxyType({name: state for name, state in states.items() if isinstance(name, str)}),
            MappingProxyType({name: state for name, state in states.items() if isinstance(name, Server)}),
        )


UNKNOWN = ProbedState()
NO_HEALTH = HealthFacts()


def declared(spec: GatewaySpec, name: str | Server) -> Health | None:
    """The probes of an uplink or a server by the spec alone, before it is known how it is reached. None: it has none.

    One is asked for by its name, for a spec may have 100,000 forwards, and few have probes.
    """
    if isinstance(name, str):
        return uplink.health if (uplink := spec.uplinks.get(name)) else None
    forward = spec.forwards.get(name.forward)
    if forward is None or forward.health is None:
        return None
    servers = (server for server in forward.to if str(server) == name.server)
    return next((forward.health.of(server.address, forward.probed_port(server)) for server in servers), None)


def chosen(forward: str, targets: Sequence[Target], health: HealthFacts) -> tuple[Target, ...]:
    """The servers of one family of a forward; those that take no new flows have weight 0.

    If none works, those that failed last keep their weight: probes may be wrong, and nothing better is there.
    """
    states = [health.servers.get(Server(forward, str(target)), UNKNOWN) for target in targets]
    if any(state.state != "down" for state in states):
        return tuple(replace(t, weight=0) if s.state == "down" else t for t, s in zip(targets, states, strict=True))
    last = max(state.since for state in states)
    return tuple(t if s.since == last else replace(t, weight=0) for t, s in zip(targets, states, strict=True))
