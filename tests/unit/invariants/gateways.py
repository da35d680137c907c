"""Gateways of tests, on a host that has all that their spec names."""

from __future__ import annotations

from collections.abc import Callable

from nvi_operator.explain.machine import Machine
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.invariants.check import check
from nvi_operator.invariants.gateway import ResolvedGateway
from nvi_operator.invariants.result import InvariantResult, Violation
from nvi_operator.language.load.loader import load_texts
from nvi_operator.plan.compile import desired_state
from nvi_operator.topology.assume import assume_working
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.resolve import resolve
from tests.unit.language.specs import BASE


def _as_it_is(machine: Machine) -> Machine:
    return machine


def gateway(
    text: str, base: str = BASE, facts: Facts | None = None, spoil: Callable[[Machine], Machine] = _as_it_is
) -> ResolvedGateway:
    """`spoil` may take something away from what would be applied, for checks to find."""
    spec = load_texts({"gw.yaml": base + text}).spec
    found = facts or assume_working(spec)
    topology = resolve("gw", spec, found)
    return ResolvedGateway(spec, topology, lambda: spoil(machine_of(topology, desired_state(topology), found)))


def results(text: str, base: str = BASE, *, thorough: bool = True) -> dict[str, InvariantResult]:
    return {result.name: result for result in check(gateway(text, base), thorough=thorough)}


def findings(name: str, text: str, base: str = BASE) -> tuple[Violation, ...]:
    return results(text, base)[name].findings
