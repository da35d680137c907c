"""A walk of many packets says of each of them what a walk of it alone says."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import ECHO_REQUEST, ICMP_OF, TCP, UDP, WITH_PORTS, Packet, address
from nvi_operator.explain.region import Region
from nvi_operator.explain.spans import Spans
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.explain.walk import Walk, reply, walks
from nvi_operator.language.load.loader import load_directory
from nvi_operator.language.model.values import FAMILIES
from nvi_operator.plan.compile import desired_state
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.resolve import resolve
from tests.examples import examples

EXAMPLES = sorted(path.parent for path in (Path(__file__).parents[2] / "examples").glob("*/gateway.yaml"))
GRE = 47


def machine(directory: Path) -> Machine:
    loaded = load_directory(directory)
    facts = assume_missing(loaded.spec, Facts("test"))
    topology = resolve(loaded.name, loaded.spec, facts)
    return machine_of(topology, desired_state(topology), facts)


@pytest.mark.parametrize("directory", dict.fromkeys(EXAMPLES), ids=lambda path: path.name)
def test_every_packet_of_a_class_goes_the_way_of_its_class(directory: Path) -> None:
    gateway, draw = machine(directory), random.Random(directory.name)
    names = [name for name in gateway.interfaces if name not in ("lo", gateway.device)]
    for family in FAMILIES:
        for ifname in (*names, None):
            protocols = (ICMP_OF[family], TCP, UDP, GRE)
            classes = walks(gateway, Region.of(family, [ifname], protocols=protocols))
            for one in draw.sample(classes, min(len(classes), examples(12))):
                for packet in packets(one, draw):
                    alone = walks(gateway, packet)
                    assert alone
                    assert all(any(same(walk, whole) for whole in classes) for walk in alone), packet
                answers(gateway, one)


def packets(walk: Walk, draw: random.Random) -> Iterator[Packet]:
    """Some of its class: the example, and at the edges of what it spans."""
    yield walk.entering
    region = walk.region
    for _ in range(2):
        protocol = pick(region.values("protocol"), draw)
        is_icmp, ports = protocol == ICMP_OF[region.family], protocol in WITH_PORTS
        source, destination = (pick(region.values(name), draw) for name in ("source", "destination"))
        drawn = Packet(
            walk.entering.in_interface,
            protocol,
            address(region.family, source),
            address(region.family, destination),
            pick(region.values("source_port"), draw) if ports or is_icmp else None,
            pick(region.values("destination_port"), draw) if ports else None,
            ECHO_REQUEST[region.family] if is_icmp else None,
        )
        if region.contains(drawn):
            yield drawn


def pick(spans: Spans, draw: random.Random) -> int:
    first, last = draw.choice(spans.parts)
    return draw.choice((first, last, draw.randint(first, last)))


def same(alone: Walk, whole: Walk) -> bool:
    if not whole.region.contains(alone.entering) or whole.verdict != alone.verdict:
        return False
    left = alone.packet
    ports = (("source_port", left.source_port), ("destination_port", left.destination_port))
    addresses = (("source", int(left.source)), ("destination", int(left.destination)))
    return all(value is None or value in whole.leaving(name) for name, value in (*addresses, *ports))


def answers(gateway: Machine, walk: Walk) -> None:
    """The answer to the example is one of the answers to the class."""
    (alone,) = [w for w in walks(gateway, walk.entering) if w.verdict == walk.verdict][:1]
    if alone.chosen:
        return
    whole = {str(back.verdict) for back in reply(gateway, walk)}
    assert {str(back.verdict) for back in reply(gateway, alone)} <= whole
