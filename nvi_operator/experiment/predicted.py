"""What `explain` predicts of packets, held against what became of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from nvi_operator.experiment.judge import ProbeResult, endpoints
from nvi_operator.experiment.places import FIRST_PORT
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.verdict import Forwarded, NotModelled
from nvi_operator.explain.walk import Walk, walks

LAW = "explain"


def predictions(machine: Machine, results: Iterable[ProbeResult]) -> Iterator[ProbeResult]:
    """One for each packet that was sent, as the first one of a flow."""
    for result in results:
        predicted = walks(machine, result.probe.packet)
        if any(isinstance(walk.verdict, NotModelled) for walk in predicted):
            continue
        agrees = any(_agrees(walk, result) for walk in predicted)
        problems = () if agrees else (f"explain predicts: {_told(predicted)}: {result.way}",)
        yield replace(result, probe=replace(result.probe, law=LAW), problems=problems)


def _agrees(walk: Walk, result: ProbeResult) -> bool:
    arrived = result.arrived
    if not isinstance(walk.verdict, Forwarded) or arrived is None:
        return not isinstance(walk.verdict, Forwarded) and arrived is None
    expected, seen = walk.packet, arrived.packet
    # A port that the spec names is that of several probes: of a second flow from it the kernel chooses another one.
    several = (result.probe.packet.source_port or 0) < FIRST_PORT
    ports = bool(walk.chosen) or several or expected.source_port == seen.source_port
    return (
        walk.verdict.interface == arrived.ifname
        and (expected.source, expected.destination, expected.destination_port)
        == (seen.source, seen.destination, seen.destination_port)
        and ports
    )


def _told(predicted: Iterable[Walk]) -> str:
    return " or ".join(
        f"{walk.verdict.interface}: {endpoints(walk.packet)}"
        if isinstance(walk.verdict, Forwarded)
        else type(walk.verdict).__name__.lower()
        for walk in predicted
    )
