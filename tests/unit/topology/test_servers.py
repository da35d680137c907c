"""Servers of a forward that have probes: one that is down takes no new flows, and the last one stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from itertools import product
from types import MappingProxyType

import pytest

from nvi_operator.daemon.probes.prober import probed
from nvi_operator.daemon.report import events_of
from nvi_operator.errors import SpecError
from nvi_operator.language.check.forwards import MOST_SERVERS
from nvi_operator.language.load.loader import load_texts
from nvi_operator.nft.ast import Hash, Interval, Lookup, Nat
from nvi_operator.plan.change import NO_PLAN
from nvi_operator.reconcile.outcome import Outcome
from nvi_operator.ruleset.dstnat import dstnat_chains
from nvi_operator.topology.facts import Facts, LinkFact
from nvi_operator.topology.health import HealthFacts, ProbedState, Server
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve

SPEC = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: {{ name: edge }}
spec:
  interfaces:
    lan0: {{ networks: [192.168.0.0/24] }}
    lan1: {{ networks: [192.168.1.0/24, "fd00::/64"] }}
  uplinks:
    a: {{ interface: wan0, nextHop: [203.0.113.1, "2001:db8::1"], addresses: [203.0.113.2, "2001:db8::2"] }}
  forwards:
    plain: {{ ports: 80/tcp, to: 192.168.1.9 }}
    web: {{ ports: {ports}, to: {to}, health: {health} }}
"""
THREE = "[192.168.1.81, 192.168.1.82, 192.168.1.83]"
FACTS = Facts("host", MappingProxyType({n: LinkFact(n, i) for i, n in enumerate(("lan0", "lan1", "wan0"), start=2)}))


def topology(
    down: Mapping[str, float],
    to: str = THREE,
    ports: str = "443/tcp",
    health: str = "tcp",
    before: Topology | None = None,
) -> Topology:
    """`down`: the servers whose probes say so, and since when."""
    spec = load_texts({"edge.yaml": SPEC.format(to=to, ports=ports, health=health)}).spec
    states = {Server("web", server): ProbedState("down", since, "no answer") for server, since in down.items()}
    facts = Facts("host", FACTS.links, health=HealthFacts(servers=states))
    return resolve("edge", spec, facts, before)


def used(found: Topology) -> set[str]:
    """The servers that take new flows."""
    choices = {
        str(a) if p is None else f"{a}:{p}" for r in found.forward_rules for a, p, weight in r.choices if weight
    }
    choices |= {str(entry.target) for entry in found.forwards if entry.name == "web"}
    assert choices == {str(server.target) for server in found.servers if server.takes_flows}
    return choices


def slots(found: Topology) -> list[str]:
    """The server of each slot of the hash."""
    (chain, *_) = dstnat_chains(found, {4: (), 6: ()})
    (nat,) = (statement for rule in chain.rules for statement in rule if isinstance(statement, Nat))
    if not isinstance(nat.address, Lookup):
        return [str(nat.address)] * 1024
    assert isinstance(nat.address.key, Hash)
    assert isinstance(nat.address.map, frozenset)
    owners = [""] * nat.address.key.mod
    for (slot,), data in nat.address.map:
        first, last = (slot.first, slot.last) if isinstance(slot, Interval) else (slot, slot)
        owners[int(first) : int(last) + 1] = [":".join(map(str, data))] * (int(last) + 1 - int(first))
    return owners


def test_a_server_that_is_down_is_left_out_and_the_clients_of_the_others_stay_where_they_are() -> None:
    whole = slots(topology({}))
    assert set(whole) == {"192.168.1.81", "192.168.1.82", "192.168.1.83"}
    left = slots(topology({"192.168.1.82": 7.0}))
    assert set(left) == {"192.168.1.81", "192.168.1.83"}
    assert all(now == before for now, before in zip(left, whole, strict=True) if before != "192.168.1.82")


def test_clients_of_a_host_with_two_servers_stay_as_well() -> None:
    to = "['192.168.1.81:8001', '192.168.1.81:8002', '192.168.1.82:8001']"
    whole, left = slots(topology({}, to)), slots(topology({"192.168.1.81:8001": 7.0}, to))
    assert set(left) == {"192.168.1.81:8002", "192.168.1.82:8001"}
    assert all(now == before for now, before in zip(left, whole, strict=True) if before != "192.168.1.81:8001")


@pytest.mark.parametrize("since", list(product((None, 1.0, 2.0), repeat=3)))
def test_the_last_one_stays(since: tuple[float | None, ...]) -> None:
    servers = ["192.168.1.81", "192.168.1.82", "192.168.1.83"]
    down = {server: moment for server, moment in zip(servers, since, strict=True) if moment is not None}
    works = set(servers) - down.keys()
    last = {server for server, moment in down.items() if moment == max(down.values())}
    assert used(topology(down)) == (works or last)


def test_each_family_has_its_own_last_one() -> None:
    to = '[192.168.1.81, 192.168.1.82, "fd00::81"]'
    assert used(topology({"192.168.1.81": 1.0, "fd00::81": 1.0}, to)) == {"192.168.1.82", "fd00::81"}


def test_a_topology_that_follows_another_is_the_same_as_one_that_is_made_whole() -> None:
    for down in ({}, {"192.168.1.81": 1.0}, {"192.168.1.81": 1.0, "192.168.1.83": 2.0}):
        for earlier in ({}, {"192.168.1.82": 1.0}):
            assert topology(down, before=topology(earlier)) == topology(down)


@pytest.mark.parametrize(
    ("health", "ports", "to", "asked"),
    [
        ("tcp", "443/tcp", "192.168.1.81", "tcp 192.168.1.81:443"),
        ("tcp", "[53/udp, 443/tcp]", "'192.168.1.81'", "tcp 192.168.1.81:443"),
        ("tcp", "443/tcp", "'192.168.1.81:8443'", "tcp 192.168.1.81:8443"),
        ("{ by: tcp, port: 22 }", "443/tcp", "'192.168.1.81:8443'", "tcp 192.168.1.81:22"),
        ("{ by: tcp, port: 22 }", "53/udp", "192.168.1.81", "tcp 192.168.1.81:22"),
        ("ping", "53/udp", "192.168.1.81", "ping 192.168.1.81"),
        ("dns", "53/udp", "'192.168.1.81:5353'", "dns 192.168.1.81"),
        ("http", "443/tcp", "'192.168.1.81:8080'", "http http://192.168.1.81:8080/"),
        ("{ by: http, path: /healthz }", "53/udp", "192.168.1.81", "http http://192.168.1.81/healthz"),
    ],
)
def test_a_server_is_asked_at_its_own_port_by_the_interface_with_its_network(
    health: str, ports: str, to: str, asked: str
) -> None:
    spec = load_texts({"edge.yaml": SPEC.format(to=to, ports=ports, health=health)}).spec
    ((name, one),) = probed(spec, resolve("edge", spec, FACTS)).items()
    assert name == Server("web", to.strip("'"))
    assert [str(probe) for probe in one.health.probes] == [asked]
    (way,) = one.ways.values()
    assert (way.ifname, way.ifindex, way.source) == ("lan1", 3, None)
    assert one.health.probes[0].address == ip_address("192.168.1.81")


def test_events_tell_who_is_down_and_whether_it_stays() -> None:
    def events(before: Mapping[str, float], now: Mapping[str, float]) -> list[str]:
        outcomes = (
            Outcome("edge", requested=False, plan=replace(NO_PLAN, topology=topology(d))) for d in (before, now)
        )
        last, outcome = outcomes
        return [event.text.removeprefix("edge: forward web: server 192.168.1.") for event in events_of(outcome, last)]

    assert events({}, {"192.168.1.82": 1.0}) == ["82: down: no answer"]
    assert events({"192.168.1.82": 1.0}, {"192.168.1.82": 1.0}) == []
    assert events({"192.168.1.82": 1.0}, {}) == ["82: up"]
    all_but_one = {"192.168.1.81": 1.0, "192.168.1.82": 1.0}
    stays = "83: down: no answer; it stays, because none works"
    assert events(all_but_one, all_but_one | {"192.168.1.83": 2.0}) == [stays]
    assert events(all_but_one | {"192.168.1.83": 2.0}, {"192.168.1.83": 2.0}) == [
        "81: up",
        "82: up",
        "83: down: no answer",
    ]


def test_there_are_no_more_servers_with_probes_than_a_process_has_sockets_for() -> None:
    def told(count: int) -> int:
        more = "".join(f"    f{n}: {{ ports: {n}/udp, to: 192.168.1.7, health: ping }}\n" for n in range(1, count))
        try:
            load_texts({"edge.yaml": SPEC.format(to="192.168.1.81", ports="65000/tcp", health="tcp") + more})
        except SpecError as error:
            return len(error.problems)
        return 0

    assert (told(MOST_SERVERS), told(MOST_SERVERS + 1), told(MOST_SERVERS + 9)) == (0, 1, 1)
