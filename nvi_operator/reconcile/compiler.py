"""What a spec means on a host, and what was compiled already.

The long way is `meaning`; an edit of a few forwards takes `after` (docs/adr/0012-edits.md).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from nvi_operator.dataclass import dataclass
from nvi_operator.language.fast.delta import Delta
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import Network
from nvi_operator.plan.change import Plan
from nvi_operator.plan.compile import desired_state
from nvi_operator.plan.diff import plan
from nvi_operator.plan.incremental import state_after
from nvi_operator.state.host import HostState
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.health import ProbedState
from nvi_operator.topology.incremental import TopologyDelta, topology_after
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve

if TYPE_CHECKING:
    from nvi_operator.doctor.footprint import Footprint


_KEPT = 16  # desired states
_PREPARED = 8  # uplinks; of a gateway with more, none: a failover of one of many moves little
_LARGE = 10_000  # forwards, from which on a desired state takes too much memory and time to have one ready


@dataclass(frozen=True)
class _Meaning:
    """What the spec means on a host with these facts."""

    facts: Facts
    topology: Topology
    desired: HostState
    delta: TopologyDelta | None = None  # of the meaning before


class Compiler:
    """Compiles one spec by its name; None removes the gateway.

    Keeps its last meaning and its last plan: a daemon asks for them at every reconcile, and they seldom change. And
    it keeps some desired states, because uplinks fail and come back.
    """

    def __init__(self, name: str, spec: GatewaySpec | None) -> None:
        self.name = name
        self.spec = spec
        self.lost: frozenset[Network] = frozenset()  # addresses that are no uplink's any more, and have flows still
        self._meaning: _Meaning | None = None
        self._facts: Facts | None = None  # that the meaning was asked for last; those that it is for are equal
        self._plan: Plan | None = None
        self._prepared: _Meaning | None = None
        self._states: list[tuple[Topology, HostState]] = []  # the last one first

    @property
    def topology(self) -> Topology | None:
        """The topology that was compiled last."""
        return self._meaning.topology if self._meaning else None

    @property
    def facts(self) -> Facts | None:
        """The facts of the host that it was compiled for last."""
        return self._meaning.facts if self._meaning else None

    @property
    def wires(self) -> frozenset[str]:
        """The interfaces of its uplinks, whose routes in `main` are facts."""
        return self.spec.wires if self.spec else frozenset()

    @cached_property
    def flow_cache(self) -> Footprint | None:
        """Of a gateway that asks for a flow cache: what keeps it from one is among the facts then."""
        if self.spec is None or not self.spec.asks_for_flow_cache:
            return None
        from nvi_operator.doctor.footprint import footprint  # with all of doctor, which takes long to import

        return footprint(self.spec)

    def meaning(self, facts: Facts) -> tuple[Topology | None, HostState]:
        """The topology and the desired state; the same objects as last time if the facts mean the same."""
        if self.spec is None:
            return None, HostState()
        last = self._meaning
        if last is None or self._facts is not facts:  # equal facts are mostly the same object
            last = self._meaning = self._compile(self.spec, facts, last)
            self._facts = facts
        return last.topology, last.desired

    def _compile(self, spec: GatewaySpec, facts: Facts, last: _Meaning | None) -> _Meaning:
        if last is None:
            topology = resolve(self.name, spec, facts)
        elif last.facts == facts:
            return last
        else:
            topology = resolve(self.name, spec, facts, last.topology)
            if topology == last.topology:  # most facts mean nothing to a gateway
                return _Meaning(facts, last.topology, last.desired)
        return _Meaning(facts, topology, self._desired(topology))

    def _desired(self, topology: Topology) -> HostState:
        """Since when and why an uplink is down changes nothing."""
        key = topology.without_reasons()
        found = next((pair for pair in self._states if pair[0] == key), None) or (key, desired_state(key))
        few = _KEPT if len(topology.forwards) < _LARGE else 1
        self._states = [found, *(pair for pair in self._states if pair is not found)][:few]
        return found[1]

    def prepare(self) -> None:
        """Work out what the next verdict of the uplinks' probes would ask for: one that works fails, or the reverse.

        To be called when there is time. It takes a tenth of a second at most.
        """
        spec, last = self.spec, self._meaning
        if spec is None or last is None or last is self._prepared or len(last.topology.forwards) >= _LARGE:
            return
        self._prepared = last
        probed = [uplink for uplink in last.topology.uplinks if spec.uplinks[uplink.name].health]
        for uplink in probed if len(probed) <= _PREPARED else ():
            state = ProbedState("up" if uplink.health.state == "down" else "down")
            uplinks = {**last.facts.health.uplinks, uplink.name: state}
            facts = replace(last.facts, health=replace(last.facts.health, uplinks=uplinks))
            self._desired(resolve(self.name, spec, facts, last.topology))
        self._desired(last.topology)

    def plan(self, topology: Topology | None, live: HostState, desired: HostState) -> Plan:
        """The plan from live to desired; the same object as last time if both are."""
        last = self._plan
        if last is None or last.before is not live or last.after is not desired:
            delta = self._meaning.delta if self._meaning else None
            last = self._plan = replace(plan(live, desired), topology=topology, delta=delta)
        return last

    def after(self, spec: GatewaySpec, delta: Delta) -> Compiler:
        """The compiler of a spec that differs by an edit of forwards: what is compiled already stays so."""
        compiler, last = Compiler(self.name, spec), self._meaning
        compiler.lost = self.lost
        if last is None:
            return compiler
        topology = topology_after(last.topology, delta)
        desired = topology and state_after(last.desired, topology)
        if topology and desired:
            compiler._meaning = _Meaning(last.facts, topology.whole, desired, topology)
        return compiler
