"""The operator on the gateway of a world, in this process: specs are applied one after the other."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

from nvi_operator.explain.step import HostRoute
from nvi_operator.kernel.inspect.host_routes import read_host_routes
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.kernel.netns import entered
from nvi_operator.language.load.loader import LoadedSpec, load_texts
from nvi_operator.language.model.settings import Numbers
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import dry_run, reconcile
from nvi_operator.state.host import HostState
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.health import HealthFacts, ProbedState, Server
from nvi_operator.topology.model import Topology
from tests.differential.case import Case

_STATES: dict[str, Literal["up", "down", "unknown"]] = {"up": "up", "down": "down", "unknown": "unknown"}


def load(case: Case) -> LoadedSpec:
    """Raises SpecErrors where the spec is not valid."""
    return load_texts({"gateway.yaml": case.text.encode()})


def _health(case: Case) -> HealthFacts:
    """What probes say: of uplinks by name, and of servers by `FORWARD SERVER`."""
    states = {name: ProbedState(_STATES[state]) for name, state in case.host.health.items()}
    servers = {Server(*name.split()): state for name, state in states.items() if " " in name}
    uplinks = {name: state for name, state in states.items() if " " not in name}
    return HealthFacts(MappingProxyType(uplinks), MappingProxyType(servers))


class Operator:
    """Bound to one network namespace; close it. Not thread-safe."""

    def __init__(self, netns: str) -> None:
        self._netns = netns
        self._kernel: Kernel | None = None
        self._numbers = Numbers()

    def close(self) -> None:
        if self._kernel is not None:
            with entered(self._netns):
                self._kernel.close()
        self._kernel = None

    def apply(self, case: Case, loaded: LoadedSpec) -> tuple[Facts, Topology, HostState, tuple[HostRoute, ...]]:
        """One reconcile; what it was about, and the routes of the host itself.

        Raises NviError. AssertionError where the next plan is not empty.
        """
        numbers = loaded.spec.numbers
        with entered(self._netns):
            if numbers != self._numbers:
                self.down()
                self.close()
                self._numbers = numbers
            if self._kernel is None:
                self._kernel = Kernel(numbers)
            kernel, compiler = self._kernel, Compiler(loaded.name, loaded.spec)
            kernel.health = _health(case)
            reconcile(kernel, compiler)
            left = dry_run(kernel, compiler)
            assert not left, f"after apply: {', '.join(str(step.ref) for step in left.steps)}"
            facts = kernel.facts(compiler.wires, compiler.flow_cache)
            topology, desired = compiler.meaning(facts)
            assert topology is not None
            routes = read_host_routes(facts.links, numbers.protocol)
            assert routes is not None
            return facts, topology, desired, routes

    def down(self) -> None:
        """Remove the gateway."""
        with entered(self._netns):
            if self._kernel is not None:
                reconcile(self._kernel, Compiler("edge", None))
