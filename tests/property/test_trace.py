"""A plan in the words of the spec leaves nothing out: each step belongs to an entry, or to the gateway itself."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.plan.compile import desired_state
from nvi_operator.plan.diff import plan
from nvi_operator.plan.trace import SECTIONS, trace
from nvi_operator.state.host import HostState
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve
from nvi_operator.view.entries import ROOM, entry_lines
from tests.property.strategies import specs


def topology_of(spec: GatewaySpec | None) -> Topology | None:
    return resolve("edge", spec, assume_missing(spec, Facts("host"))) if spec else None


def names_in(topology: Topology | None) -> set[tuple[str, str | None]]:
    if topology is None:
        return set()
    return {
        *(("uplinks", uplink.name) for uplink in topology.uplinks),
        *(("interfaces", inside.interface.ifname) for inside in topology.inside_interfaces),
        *(("forwards", forward.name) for forward in (*topology.forwards, *topology.forward_rules)),
        *(("sourceNat", rule.name) for rule in topology.source_rules),
        *((rule.section, rule.name) for rule in topology.own),
    }


@given(st.none() | specs(), st.none() | specs(), st.booleans())
def test_every_step_is_traced_to_an_entry_or_to_the_gateway_itself(
    one: GatewaySpec | None, other: GatewaySpec | None, knows_before: bool
) -> None:
    before, after = topology_of(one), topology_of(other)
    live, desired = (desired_state(topology) if topology else HostState() for topology in (before, after))
    made = replace(plan(live, desired), topology=after)
    effects = trace(made, before if knows_before else None)
    assert frozenset().union(*(effect.steps for effect in effects)) == frozenset(range(len(made.steps)))
    named = {(effect.entry.section, effect.entry.name) for effect in effects if effect.entry.name}
    assert named <= names_in(before) | names_in(after)
    assert all(effect.entry.section in SECTIONS for effect in effects)
    for drift in (False, True):
        lines = list(entry_lines(effects, drift=drift))
        assert len(lines) <= ROOM
        assert all(text for _, text in lines)


@given(specs())
def test_the_entries_of_a_first_apply_are_all_named_once_and_new(spec: GatewaySpec) -> None:
    topology = topology_of(spec)
    assert topology is not None
    effects = trace(replace(plan(HostState(), desired_state(topology)), topology=topology))
    named = [(effect.entry.section, effect.entry.name) for effect in effects if effect.entry.section]
    assert set(named) == names_in(topology)
    assert len(named) == len(set(named))
    assert {effect.action.value for effect in effects} == {"create"}
