"""A simulation in its order: wires, the real apply, probes. In a process that has its namespaces to itself."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, Any

from nvi_operator.dataclass import dataclass
from nvi_operator.experiment.assertions import Assertions
from nvi_operator.experiment.judge import ProbeResult
from nvi_operator.experiment.outcome import Tried
from nvi_operator.experiment.places import Places
from nvi_operator.experiment.predicted import predictions
from nvi_operator.experiment.probes import make_probes
from nvi_operator.experiment.surroundings import Surroundings, surroundings
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.handles import open_iproute
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import reconcile
from nvi_operator.reconcile.outcome import Outcome
from nvi_operator.simulate.capture import Capture
from nvi_operator.simulate.exchange import ProbeRunner
from nvi_operator.simulate.health import ask
from nvi_operator.simulate.wire import WireEnd, add_routes, connect
from nvi_operator.topology.model import Topology

_LOADED = "/sys/module/nvi"


@dataclass(frozen=True)
class SimulatedGateway:
    """A gateway that stands, in the network namespace of this process, with what is around it."""

    name: str
    spec: GatewaySpec
    topology: Topology
    machine: Machine
    around: Surroundings
    ends: tuple[WireEnd, ...]
    probed: tuple[ProbeResult, ...] = ()  # the health probes


@contextmanager
def standing(
    name: str, spec: GatewaySpec, capture: IO[bytes] | None = None, down: Collection[str] = ()
) -> Iterator[SimulatedGateway]:
    """Apply the spec in the namespace of the calling thread, which has nothing in it. Raises NviError.

    `down`: uplinks whose health probes get no answer.
    """
    spec, other = with_loaded_dataplane(spec)
    around = surroundings(spec)
    written = Capture(capture, [wire.ifname for wire in around.wires]) if capture else None
    with ExitStack() as stack:
        ipr = open_iproute()
        stack.callback(ipr.close)
        _loopback_up(ipr)
        _answer_all()
        ends = []
        for wire in around.wires:
            end = connect(ipr, wire, written)
            stack.callback(end.close)
            ends.append(end)
        for wire in around.wires:
            add_routes(ipr, wire)
        compiler = Compiler(name, spec)
        with Kernel(spec.numbers) as kernel:
            outcome = _applied(kernel, compiler)
            assert compiler.topology is not None
            owner = Places(compiler.topology, around).owner_name
            for end in ends:
                end.owner = owner
            asked = ask(spec, compiler.topology, {end.wire.ifname: end for end in ends}, down)
            if asked.health != kernel.health:
                kernel.health = asked.health
                outcome = _applied(kernel, compiler)
            facts = kernel.facts(compiler.wires, compiler.flow_cache)
        machine = machine_of(compiler.topology, outcome.plan.after, facts)
        cut = tuple(f"uplink {each}: its health probes get no answer (--down)" for each in down)
        around = Surroundings(around.wires, around.far, around.taken, (*around.assumed, *other, *cut))
        yield SimulatedGateway(name, spec, compiler.topology, machine, around, tuple(ends), asked.results)


def _applied(kernel: Kernel, compiler: Compiler) -> Outcome:
    outcome = reconcile(kernel, compiler)
    outcome.raise_failure()
    return outcome


def try_out(gateway: SimulatedGateway, most: int, *, explain: bool = False) -> Tried:
    """Send the packets that try it; `most` entries of each section. Raises KernelError.

    `explain`: hold what is predicted of each against what became of it as well.
    """
    places = Places(gateway.topology, gateway.around)
    trial = make_probes(places, most)
    assertions = Assertions(gateway.spec.assert_, places)
    asked = tuple(assertions.probes())
    results = ProbeRunner(gateway.ends, places.owner_name).run((*trial.probes, *asked))
    judged, sampled = assertions.results(results)
    predicted = predictions(gateway.machine, results) if explain else ()
    results = [*gateway.probed, *results[: len(trial.probes)], *judged, *predicted]
    return Tried(
        gateway.name,
        gateway.topology.dataplane,
        gateway.around.assumed,
        gateway.topology.notes,
        (*trial.sampled, *([sampled] if sampled else [])),
        tuple(results),
    )


def with_loaded_dataplane(spec: GatewaySpec) -> tuple[GatewaySpec, tuple[str, ...]]:
    """Without the module, whose loading would change the machine, eBPF does the same."""
    if spec.dataplane.type == "bpf" or os.path.exists(_LOADED):
        return spec, ()
    asked = spec.dataplane.type
    dataplane = spec.dataplane.model_copy(update={"type": "bpf"})
    told = ("dataplane: bpf: nvi.ko is not loaded, and a simulation loads no module",) if asked == "kmod" else ()
    return spec.model_copy(update={"dataplane": dataplane}), told


def _answer_all() -> None:
    """Lift the limits of ICMP errors: many packets of one host may be refused at once."""
    for name in ("ipv4/icmp_ratelimit", "ipv4/icmp_msgs_per_sec", "ipv6/icmp/ratelimit"):
        value = "0" if "ratelimit" in name else "1000000"
        with suppress(OSError), open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
            file.write(value)


def _loopback_up(ipr: Any) -> None:
    with kernel_errors("lo: setting it up"):
        ipr.link("set", index=1, state="up")
