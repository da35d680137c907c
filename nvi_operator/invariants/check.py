"""The checks of a gateway, in the order in which they are told. A new invariant is a line in INVARIANTS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nvi_operator.invariants.claims import claimed_twice
from nvi_operator.invariants.dead import dead_entries
from nvi_operator.invariants.result import Finding, Result, Severity
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.topology.model import Topology


@dataclass(frozen=True)
class Invariant:
    """What has to hold of every gateway. `name` never changes its meaning; `what` is a sentence."""

    name: str
    what: str
    severity: Severity
    check: Callable[[GatewaySpec, Topology], Iterator[Finding]]


INVARIANTS = (
    Invariant("no-dead-entry", "every entry has an effect", "warning", dead_entries),
    Invariant("no-shared-claim", "what an entry gives to one source no other gives away", "error", claimed_twice),
)


def check(spec: GatewaySpec, topology: Topology) -> tuple[Result, ...]:
    """Every invariant. `topology` is what the spec means on a host, real or assumed."""
    return tuple(
        Result(each.name, each.what, each.severity, tuple(each.check(spec, topology))) for each in INVARIANTS
    )
