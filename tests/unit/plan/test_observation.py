"""A gateway's state in a file is what the gateway holds; whatever else is in the file is one clear error."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from ipaddress import ip_interface, ip_network
from types import MappingProxyType
from typing import Any

import pytest

from nvi_operator.errors import ConflictError, NviError
from nvi_operator.kmod.facts import DkmsBuild, ModuleFacts, ModuleFile
from nvi_operator.language.load.loader import load_directory
from nvi_operator.language.model.settings import Numbers
from nvi_operator.plan.compile import desired_state
from nvi_operator.plan.observation import Observation, read_observation
from nvi_operator.plan.sealed import sealed
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import dry_run
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.assume import assume_working
from nvi_operator.topology.blockers import Blocker
from nvi_operator.topology.facts import Facts, ForeignRule, LinkFact, RouteTableFact, WireRoute
from nvi_operator.topology.health import HealthFacts, ProbedState, Server
from nvi_operator.topology.resolve import resolve
from tests.lab.command import ROOT

EXAMPLES = sorted(path.parent.name for path in ROOT.glob("examples/*/gateway.yaml"))


@cache
def observed(example: str) -> tuple[Compiler, Observation]:
    loaded = load_directory(ROOT / "examples" / example)
    facts = assume_working(loaded.spec)
    live = desired_state(resolve(loaded.name, loaded.spec, facts))
    return Compiler(loaded.name, loaded.spec), Observation("now", loaded.spec.numbers, facts, live)


def read(saved: Observation) -> Observation:
    return read_observation(saved.json(), "state.json")


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_gateway_needs_no_steps_to_what_was_saved_of_it(example: str) -> None:
    compiler, saved = observed(example)
    found = read(saved)
    assert (found, found.json()) == (saved, saved.json())
    assert not dry_run(found, compiler)


def test_all_facts_are_kept() -> None:
    rule = ForeignRule(FibRule(6, 5, "lookup", 52, inverted=True), RouteTableFact(True, ("wg0",), (), True))
    link = LinkFact(
        "wan0",
        7,
        "02:00:00:00:00:07",
        addresses=(ip_interface("203.0.113.2/30"), ip_interface("2001:db8::2/64")),
        fading=frozenset({ip_interface("2001:db8::2/64").ip}),
        next_hops=((4, "203.0.113.1"),),
        direct=frozenset({6}),
        routes=(WireRoute(ip_network("203.0.113.0/30")), WireRoute(ip_network("2001:db8:1::/48"), "fe80::1")),
        master="br0",
    )
    state = ProbedState("down", 1.5, "no answer")
    facts = Facts(
        "edge-1",
        MappingProxyType({"wan0": link}),
        module=ModuleFacts(installed=ModuleFile("/nvi.ko", signed=True), dkms_builds=(DkmsBuild("1"),)),
        default_interfaces=MappingProxyType({4: "wan0"}),
        health=HealthFacts(MappingProxyType({"isp-a": state}), MappingProxyType({Server("web", "192.0.2.1"): state})),
        unreachable=(ip_network("2001:db8:f::/48"),),  # type: ignore[arg-type]
        rules=(rule,),
        blockers=(Blocker("log", "chain x"),),
        timeouts=MappingProxyType({"nf_conntrack_udp_timeout": 30}),
    )
    assert read(Observation("now", Numbers(), facts, observed("dual-wan")[1].live, True)).found == facts


def test_a_plan_has_the_routes_of_uplinks_alone() -> None:
    """As those are all that a kernel is asked for."""
    _, saved = observed("dual-wan")
    route = (WireRoute(ip_network("198.51.100.0/24")),)
    links = {name: replace(link, routes=route) for name, link in saved.found.links.items()}
    facts = replace(saved, found=replace(saved.found, links=MappingProxyType(links))).facts(frozenset({"wan0"}), None)
    assert [name for name, link in facts.links.items() if link.routes] == ["wan0"]


def test_a_state_of_other_numbers_is_refused() -> None:
    with pytest.raises(ConflictError, match="other numbers"):
        observed("dual-wan")[1].refuse_other_numbers(Numbers(table=9000))


SAVED = observed("dual-wan")[1].json()


def other(*path: str | int, by: Any = None) -> bytes:
    """A whole file that says something else at this place, or nothing."""
    data = json.loads(SAVED)
    del data["sha256"]
    *way, last = path
    place = data
    for step in way:
        place = place[step]
    place[last] = by
    if by is None:
        del place[last]
    return sealed(data)


WRONG = {
    "a part of one": (SAVED[:-9], "damaged, or no JSON"),
    "with a changed byte": (SAVED.replace(b"203.0.113.2", b"203.0.113.3", 1), "its checksum differs"),
    "no text": (b"\xff\xfe", "damaged, or no JSON"),
    "too deep": (b"[" * 100_000, "damaged, or no JSON"),
    "a plan": (b'{"nviPlan": 1}', "JSON, but not a saved state"),
    "of a later form": (other("nviState", by=2), "its format is 2, and this nvictl knows 1"),
    "of another version": (other("nvictl", by="9.9").replace(b"sha256", b"sha512"), "saved state of nvictl 9.9 by"),
    "without facts": (other("facts"), "'facts' is missing"),
    "with a fact that is not known": (other("facts", "later", by=1), "Facts: later: not known"),
    "with a wrong type": (other("facts", "links", "wan0", "ifindex", by="7"), "LinkFact.ifindex: '7' is not int"),
    "with a wrong address": (other("facts", "links", "wan0", "addresses", by=["x"]), "LinkFact.addresses: 'x'"),
    "with a kind that is not known": (other("objects", 0, by=["x", {}]), "'x' is not a kind of object"),
    "with an object that is no pair": (other("objects", 0, by=7), "7 is not a list"),
    "with an object without its key": (other("objects", 0, 1, by={"is": "Route"}), "EgressGuard"),
    "with wrong numbers": (other("numbers", "table", by="x"), "table"),
}


@pytest.mark.parametrize("data", WRONG.values(), ids=list(WRONG))
def test_what_is_no_saved_state_is_refused_with_its_place(data: tuple[bytes, str]) -> None:
    content, why = data
    with pytest.raises(NviError) as refused:
        read_observation(content, "state.json")
    assert refused.value.message.startswith("state.json: reading the saved state")
    assert why in refused.value.message
    assert "nvictl show state" in refused.value.hint
