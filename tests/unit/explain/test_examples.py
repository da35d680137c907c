"""The examples of the repository, as their comments promise: where packets go, and their answers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from nvi_operator.explain.machine import Machine
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.explain.walk import reply, walks
from nvi_operator.language.load.loader import load_directory
from nvi_operator.plan.compile import desired_state
from nvi_operator.topology.assume import assume_inside, assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.resolve import resolve
from tests.unit.explain.gateways import packet, told

EXAMPLES = Path(__file__).parents[3] / "examples"

# The packet, how it leaves, and how its answer does.
WAYS = [
    (
        "one-to-one",
        "lan0 tcp 192.168.1.80:4000 -> 192.0.2.1:25",
        "wan0 203.0.113.20:4000 -> 192.0.2.1:25",
        "lan0 192.0.2.1:25 -> 192.168.1.80:4000",
    ),
    (
        "one-to-one",
        "wan1 udp 192.0.2.1:53 -> 198.51.100.20:4000",
        "lan0 192.0.2.1:53 -> 192.168.1.10:4000",
        "wan1 198.51.100.20:4000 -> 192.0.2.1:53",
    ),
    (
        "overlapping-sites",
        "red0 tcp 192.168.1.5:4000 -> 10.2.0.7:22",
        "blue0 10.1.0.5:4000 -> 192.168.1.7:22",
        "red0 10.2.0.7:22 -> 192.168.1.5:4000",
    ),
    (
        "overlapping-sites",
        "blue0 icmpv6 [fd00:1::5]:7 -> [fd00:a1::9]",
        "red0 [fd00:a2::5]:7 -> fd00:1::9",
        "blue0 [fd00:a1::9]:7 -> fd00:1::5",
    ),
    (
        "tenants",
        "blue0 tcp 192.168.1.80:4000 -> 192.0.2.1:443",
        "wan1 198.51.100.17:4000 -> 192.0.2.1:443",
        "blue0 192.0.2.1:443 -> 192.168.1.80:4000",
    ),
    (
        "tenants",
        "wan0 tcp 192.0.2.1:4000 -> 203.0.113.18:443",
        "red0 192.0.2.1:4000 -> 192.168.1.80:443",
        "wan0 203.0.113.18:443 -> 192.0.2.1:4000",
    ),
    (
        "public-pool",
        "lan0 tcp 192.168.1.5:4000 -> 192.0.2.200:25",
        "wan1 198.51.100.18:4000 -> 192.0.2.200:25",
        "lan0 192.0.2.200:25 -> 192.168.1.5:4000",
    ),
    (
        "public-pool",
        "lan0 udp 192.168.1.5:20007 -> 192.0.2.200:5060",
        "wan0 203.0.113.17:20007 -> 192.0.2.200:5060",
        "lan0 192.0.2.200:5060 -> 192.168.1.5:20007",
    ),
    (
        "redirects",
        "lan0 udp 192.168.1.5:4000 -> 192.0.2.1:53",
        "lan0 192.168.1.1:4000 -> 192.168.1.80:53",
        "lan0 192.0.2.1:53 -> 192.168.1.5:4000",
    ),
    (
        "redirects",
        "lan0 udp 192.168.1.5:4000 -> 192.0.2.1:123",
        "self 192.168.1.5:4000 -> 192.168.1.1:123",
        "lan0 192.0.2.1:123 -> 192.168.1.5:4000",
    ),
    (
        "nptv6",
        "lan0 gre fd00:1::7 -> 2001:db8:f::1",
        "wan0 2001:db8:a:1::7 -> 2001:db8:f::1",
        "lan0 2001:db8:f::1 -> fd00:1::7",
    ),
    (
        "partner-link",
        "lan0 tcp 192.168.1.5:4000 -> 10.2.0.9:22",
        "part0 10.1.0.5:4000 -> 192.168.1.9:22",
        "lan0 10.2.0.9:22 -> 192.168.1.5:4000",
    ),
    (
        "partner-link",
        "part0 tcp 192.168.1.9:4000 -> 10.1.0.5:22",
        "lan0 10.2.0.9:4000 -> 192.168.1.5:22",
        "part0 10.1.0.5:22 -> 192.168.1.9:4000",
    ),
    (
        "hairpin",
        "lan0 tcp 192.168.1.5:4000 -> 203.0.113.2:443",
        "lan0 203.0.113.2:4000 -> 192.168.1.80:443",
        "lan0 203.0.113.2:443 -> 192.168.1.5:4000",
    ),
    (
        "nptv6-two-isps",
        "wan1 tcp [2001:db8:f::1]:4000 -> [2001:db8:b:1::7]:22",
        "lan0 [2001:db8:f::1]:4000 -> [fd00:1::7]:22",
        "wan1 [2001:db8:b:1::7]:22 -> [2001:db8:f::1]:4000",
    ),
]


@cache
def machine(example: str) -> Machine:
    loaded = load_directory(EXAMPLES / example)
    facts = assume_inside(loaded.spec, assume_missing(loaded.spec, Facts("test")))
    topology = resolve(loaded.name, loaded.spec, facts)
    return machine_of(topology, desired_state(topology), facts)


@pytest.mark.parametrize(("example", "sent", "out", "back"), WAYS, ids=[f"{e}: {s}" for e, s, _, _ in WAYS])
def test_an_example_does_what_it_says(example: str, sent: str, out: str, back: str) -> None:
    gateway = machine(example)
    (walk,) = walks(gateway, packet(sent))
    assert told(walk) == out
    assert [told(each) for each in reply(gateway, walk)] == [back]


@pytest.mark.parametrize(
    ("example", "sent", "ways"),
    [
        (
            "weighted-uplinks",
            "lan0 tcp 192.168.1.5:4000 -> 192.0.2.1:443",
            {"wan0 203.0.113.2:4000 -> 192.0.2.1:443", "wan1 198.51.100.2:4000 -> 192.0.2.1:443"},
        ),
        (
            "public-pool",
            "lan0 tcp 192.168.1.5:4000 -> 192.0.2.200:443",
            {"wan0 203.0.113.26:4000 -> 192.0.2.200:443", "wan1 198.51.100.20:4000 -> 192.0.2.200:443"},
        ),
    ],
)
def test_what_the_kernel_chooses_are_several_ways(example: str, sent: str, ways: set[str]) -> None:
    found = walks(machine(example), packet(sent))
    assert {told(walk) for walk in found} == ways
    assert all(walk.chosen for walk in found)


def test_a_client_of_a_pool_keeps_the_address_that_the_kernel_computes() -> None:
    gateway = machine("public-pool")
    sources = {
        str(walks(gateway, packet(f"lan0 tcp 192.168.1.5:{port} -> 192.0.2.{host}:443"))[0].packet.source)
        for port, host in ((4000, 1), (4001, 99))
    }
    assert len(sources) == 1


def test_a_port_outside_of_the_range_is_one_of_the_range() -> None:
    (walk,) = walks(machine("public-pool"), packet("lan0 udp 192.168.1.5:4000 -> 192.0.2.200:5060"))
    ports = walk.leaving("source_port")
    assert (ports.first, ports.last, walk.chosen) == (20000, 20999, ("source port 20000-20999",))
