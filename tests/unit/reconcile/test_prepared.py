"""What a verdict of probes will ask for is worked out ahead, and means the same as if it were worked out then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nvi_operator.language.load.loader import load_texts
from nvi_operator.plan.compile import desired_state
from nvi_operator.reconcile import compiler as compiler_module
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.state.host import HostState
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.health import HealthFacts, ProbedState
from nvi_operator.topology.model import Topology

SPEC = load_texts(
    {
        "edge.yaml": """
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces: { lan0: { networks: 192.168.1.0/24 } }
  uplinks:
    a: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, health: 192.0.2.1 }
    b: { interface: wan1, nextHop: 198.51.100.1, addresses: 198.51.100.2, health: 192.0.2.1 }
  sourceNat: [ { name: everyone, as: { first: [a, b] } } ]
"""
    }
).spec


def facts(down: str, since: float = 1.0) -> Facts:
    states = {name: ProbedState("down" if name in down else "up", since, "no answer") for name in "ab"}
    return replace(assume_missing(SPEC, Facts("host")), health=HealthFacts(states))


def test_a_failover_finds_its_state_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Topology] = []

    def counting(topology: Topology) -> HostState:
        made.append(topology)
        return desired_state(topology)

    monkeypatch.setattr(compiler_module, "desired_state", counting)
    ahead = Compiler("edge", SPEC)
    ahead.meaning(facts(""))
    ahead.prepare()
    assert len(made) == 3, "as it is, and with either uplink down"
    for down, since in (("a", 2.0), ("", 3.0), ("b", 4.0), ("a", 5.0)):
        found = ahead.meaning(facts(down, since))
        assert len(made) == 3
        assert found == Compiler("edge", SPEC).meaning(facts(down, since))
        made.pop()
    ahead.prepare()
    assert len(made) == 4, "both down"
