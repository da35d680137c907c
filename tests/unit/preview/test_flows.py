"""What a change does to packets: each class of flows that fares otherwise, and no flow that does not."""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import TCP, UDP, Packet
from nvi_operator.explain.region import Region
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.explain.walk import Walk, reply, walks
from nvi_operator.language.load.loader import load_texts
from nvi_operator.plan.compile import desired_state
from nvi_operator.preview import classes
from nvi_operator.preview.classes import FlowChange, GatewaySide, flow_changes
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.resolve import resolve
from nvi_operator.view.preview.flows import flow_lines

HEAD = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces: { lan0: { networks: 192.168.1.0/24 } }
  uplinks:
    isp-a: { interface: wan0, nextHop: 203.0.113.1, addresses: [203.0.113.2, 203.0.113.3], default: true }
    isp-b: { interface: wan1, nextHop: 198.51.100.1, addresses: 198.51.100.2 }
"""
EVERYONE = "  sourceNat: [{ name: everyone, as: isp-a }]\n"
WEB = "  forwards: { web: { ports: 443/tcp, at: isp-a, to: '192.168.1.80:8443' } }\n"


def gateway(text: str) -> GatewaySide:
    spec = load_texts({"g.yaml": text}).spec
    facts = assume_missing(spec, Facts(""))
    topology = resolve("edge", spec, facts)
    return GatewaySide(topology, machine_of(topology, desired_state(topology), facts))


def changes(before: str, after: str) -> list[FlowChange]:
    return flow_changes(gateway(HEAD + before), gateway(HEAD + after))


def told(before: str, after: str) -> list[str]:
    return [f"{sign} {line}" for sign, line in flow_lines(changes(before, after))]


CASES = {
    "another uplink": (
        EVERYONE,
        EVERYONE.replace("isp-a", "isp-b"),
        ["~ lan0 to anywhere: now leaves by isp-b as 198.51.100.2, no longer by isp-a as 203.0.113.2"],
    ),
    "another address of the same uplink": (
        EVERYONE,
        EVERYONE.replace("isp-a", "203.0.113.3"),
        ["~ lan0 to anywhere: now leaves by isp-a as 203.0.113.3, no longer by isp-a as 203.0.113.2"],
    ),
    "one host of its own": (
        EVERYONE,
        EVERYONE.replace("[{", "[{ name: mail, from: 192.168.1.25, as: isp-b }, {"),
        ["~ 192.168.1.25 (lan0) to anywhere: now leaves by isp-b as 198.51.100.2, no longer by isp-a as 203.0.113.2"],
    ),
    "a forward is removed": (
        EVERYONE + WEB,
        EVERYONE,
        [
            "- 443/tcp from isp-a, isp-b, lan0, the gateway itself to 203.0.113.2: "
            "loses its server 192.168.1.80:8443: now reaches the gateway itself"
        ],
    ),
    "a forward has another server": (
        EVERYONE + WEB,
        EVERYONE + WEB.replace("1.80:8443", "1.81"),
        [
            "~ 443/tcp from isp-a, isp-b, lan0, the gateway itself to 203.0.113.2: "
            "now reaches 192.168.1.81, no longer 192.168.1.80:8443",
        ],
    ),
    "two servers, by chance": (
        EVERYONE + WEB,
        EVERYONE + WEB.replace("to: '192.168.1.80:8443'", "to: [192.168.1.81, 192.168.1.82]"),
        [
            "~ 443/tcp from isp-a, isp-b to 203.0.113.2: "
            "now reaches 192.168.1.81 or 192.168.1.82, no longer 192.168.1.80:8443",
            "~ 443/tcp from lan0 to 203.0.113.2: "
            "now reaches 192.168.1.81 as 203.0.113.2 or 192.168.1.82 as 203.0.113.2, "
            "no longer 192.168.1.80:8443 as 203.0.113.2",
            # which one is by its source, and the gateway has one
            "~ 443/tcp from the gateway itself to 203.0.113.2: now reaches 192.168.1.81, no longer 192.168.1.80:8443",
        ],
    ),
    "a route that answers would take": (
        EVERYONE + WEB,
        EVERYONE + WEB + "  routes: [{ name: dns, to: 8.8.8.8, via: isp-b }]\n",
        [
            "! 443/tcp from 8.8.8.8 (isp-a) to 203.0.113.2: "
            "now reaches 192.168.1.80:8443, and its answers leave by isp-b, no longer 192.168.1.80:8443",
            "~ lan0 to 8.8.8.8: now leaves by isp-b as 203.0.113.2, no longer by isp-a as 203.0.113.2",
            "~ the gateway itself to 8.8.8.8: now leaves by isp-b as 198.51.100.2, no longer by isp-a as 203.0.113.2",
        ],
    ),
    "one protocol": (
        EVERYONE,
        EVERYONE.replace("[{", "[{ name: tcp, protocol: tcp, as: isp-b }, {"),
        [
            "~ tcp from lan0, the gateway itself to anywhere: "
            "now leaves by isp-b as 198.51.100.2, no longer by isp-a as 203.0.113.2"
        ],
    ),
    "all but one service": (
        EVERYONE.replace("[{", "[{ name: dns, ports: 53/udp, as: isp-b }, {"),
        EVERYONE.replace("isp-a", "isp-b").replace("[{", "[{ name: dns, ports: 53/udp, as: isp-b }, {"),
        [
            "~ all but 53/udp from lan0 to anywhere: "
            "now leaves by isp-b as 198.51.100.2, no longer by isp-a as 203.0.113.2"
        ],
    ),
    "a word that packets do not feel": (EVERYONE, EVERYONE + "  failback: move\n", []),
}


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_told_in_packets(name: str) -> None:
    before, after, expected = CASES[name]
    found = told(before, after)
    assert found[: len(expected)] == expected
    assert expected or found == []


def test_of_own_packets_only_those_that_a_host_may_answer_are_told() -> None:
    """Behind an uplink no host has the gateway's own addresses, though packets to them leave by it."""
    forward = "  forwards: { mail: { ports: 25/tcp, at: 198.51.101.3, to: 192.168.1.25 } }\n"
    head = HEAD.replace("addresses: 198.51.100.2", "addresses: 198.51.100.2, routed: 198.51.101.0/29")
    by_b = head.replace(", default: true", "").replace("isp-b: {", "isp-b: { default: true,")
    found = flow_changes(gateway(head + forward), gateway(by_b + forward))
    assert [line for _, line in flow_lines(found)] == [
        "the gateway itself to anywhere: now leaves by isp-b as 198.51.100.2, no longer by isp-a as 203.0.113.2",
        "25/tcp from the gateway itself to 198.51.101.3: "
        "now reaches 192.168.1.25 as 198.51.100.2, no longer 192.168.1.25 as 203.0.113.2",
    ]


def test_senders_of_one_uplink_are_named_once() -> None:
    """Some of them fared otherwise before."""
    route = "  routes: [{ name: dns, to: 192.0.2.0/24, via: isp-b }]\n"
    lines = told(EVERYONE + WEB + route, EVERYONE + WEB.replace("isp-a", "203.0.113.3") + route)
    assert lines[1].startswith(
        "- 443/tcp from isp-a, isp-b, lan0, the gateway itself to 203.0.113.2: loses its server"
    )


def many(uplinks: int, *, of: int = 8) -> GatewaySide:
    """A gateway with uplinks of which so many share the flows."""
    named = [f"isp-{number}" for number in range(1, of + 1)]
    ways = [
        f"    {name}: {{ interface: wan{n}, nextHop: 203.0.{n}.1, addresses: 203.0.{n}.2 }}\n"
        for n, name in enumerate(named)
    ]
    head = HEAD[: HEAD.index("    isp-a")]
    shared = ", ".join(named[:uplinks])
    return gateway(f"{head}{''.join(ways)}  defaultUplink: isp-1\n  sourceNat: [{{ name: all, as: [{shared}] }}]\n")


def test_of_many_uplinks_only_those_that_come_and_go_are_named() -> None:
    lines = [line for _, line in flow_lines(flow_changes(many(8), many(7)))]
    assert lines[0] == "lan0 to anywhere: no longer leaves by isp-8 as 203.0.7.2; 7 ways as before"
    lines = [line for _, line in flow_lines(flow_changes(many(6), many(8)))]
    assert lines[0] == (
        "lan0 to anywhere: now also leaves by isp-7 as 203.0.6.2 or by isp-8 as 203.0.7.2; 6 ways as before"
    )


def test_many_uplinks_are_named_by_the_first_and_the_last() -> None:
    lines = [line for _, line in flow_lines(flow_changes(many(1), many(8)))]
    assert lines[0] == (
        "lan0 to anywhere: now leaves by isp-1 ... isp-8 (8 uplinks), no longer by isp-1 as 203.0.0.2"
    )


def test_flows_that_uplinks_share_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each pair of uplinks, each time by all of them."""
    walked = list[object]()

    def count(machine: Machine, packets: Packet | Region) -> tuple[Walk, ...]:
        found = walks(machine, packets)
        walked.extend(found)
        return found

    monkeypatch.setattr(classes, "walks", count)
    before, after = many(8), many(7)
    flow_changes(before, after)
    eight = len(walked)
    walked.clear()
    flow_changes(many(4, of=4), many(3, of=4))
    assert eight < 3 * len(walked)


@pytest.mark.parametrize("name", CASES)
def test_answers_that_are_not_walked_would_have_told_no_change(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after, _ = CASES[name]
    found = changes(before, after)
    monkeypatch.setattr(classes, "answers_alike", lambda *_: False)
    assert [vars(change) for change in changes(before, after)] == [vars(change) for change in found]


def test_an_edit_of_source_nat_asks_for_no_answers_to_who_asks_for_a_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = set[str | None]()

    def noting(machine: Machine, walk: Walk) -> tuple[Walk, ...]:
        asked.update(walk.region.in_interfaces)
        return reply(machine, walk)

    monkeypatch.setattr(classes, "reply", noting)
    assert changes(EVERYONE + WEB, EVERYONE.replace("isp-a", "isp-b") + WEB)
    assert asked == {"lan0"}


def test_twice_as_many_uplinks_take_twice_as_many_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with a network of its own, of which a route refuses what nothing translates, and a forward."""
    begun = list[object]()

    def counted(walk: Callable[..., object]) -> Callable[..., object]:
        def count(machine: Machine, packets: object) -> object:
            begun.append(packets)
            return walk(machine, packets)

        return count

    monkeypatch.setattr(classes, "walks", counted(walks))
    monkeypatch.setattr(classes, "reply", counted(reply))
    flow_changes(publishing(4, shared=4), publishing(4, shared=3))
    four = len(begun)
    begun.clear()
    flow_changes(publishing(8, shared=8), publishing(8, shared=7))
    assert len(begun) < 2.3 * four


def publishing(uplinks: int, shared: int) -> GatewaySide:
    numbers = range(1, uplinks + 1)
    ways = (
        f"    isp-{n}: {{ interface: wan{n}, nextHop: 203.0.{n}.1, addresses: 203.0.{n}.2, "
        f"routed: 198.51.{n}.0/28 }}\n"
        for n in numbers
    )
    forwards = (f"    web-{n}: {{ at: 198.51.{n}.1, ports: 443/tcp, to: 192.168.1.{n} }}\n" for n in numbers)
    names = ", ".join(f"isp-{n}" for n in numbers if n <= shared)
    return gateway(
        f"{HEAD[: HEAD.index('    isp-a')]}{''.join(ways)}  defaultUplink: isp-1\n"
        f"  sourceNat: [{{ name: all, as: [{names}] }}]\n  forwards:\n{''.join(forwards)}"
    )


@pytest.mark.parametrize("name", CASES)
def test_of_random_packets_just_those_that_fare_otherwise_are_in_a_class(name: str) -> None:
    """Walked one by one, as they are before and after."""
    before, after = (gateway(HEAD + text) for text in CASES[name][:2])
    found = flow_changes(before, after)
    chance = random.Random(name)
    inside, outside = [f"192.168.1.{n}" for n in (2, 25, 80, 81, 254)], ["192.0.2.80", "8.8.8.8"]
    public = ["203.0.113.2", "203.0.113.3", "198.51.100.2"]
    for _ in range(60):
        ifname = chance.choice(["lan0", "wan0", "wan1"])
        source = chance.choice(inside if ifname == "lan0" else outside)
        destination = chance.choice([*public, *outside, *inside[:2]] if ifname == "lan0" else public)
        protocol, port = chance.choice([(TCP, 443), (TCP, 80), (UDP, 443)])
        packet = Packet(ifname, protocol, ip_address(source), ip_address(destination), 40000, port)
        outcomes = [outcome(side, packet) for side in (before, after)]
        if outcomes[0] != outcomes[1]:
            assert any(has(change, packet) for change in found), packet
        else:
            assert not any(has(change, packet) for change in found), packet


def outcome(side: GatewaySide, packet: Packet) -> frozenset[object]:
    return frozenset((str(walk.verdict), side.outcome(walk)) for walk in walks(side.machine, packet))


def has(change: FlowChange, packet: Packet) -> bool:
    services = dict(change.services)
    return (
        packet.in_interface in change.sources
        and int(packet.source) in change.sources[packet.in_interface]
        and int(packet.destination) in change.destinations
        and (packet.destination_port or 0) in services.get(packet.protocol, ())
    )
