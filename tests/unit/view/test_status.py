"""`nvictl status`: what an administrator sees of uplinks in trouble."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

from rich.console import Console

from nvi_operator.language.load.loader import load_texts
from nvi_operator.plan.change import Plan
from nvi_operator.state.host import HostState
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.resolve import resolve
from nvi_operator.view.status import status_json, status_text

EMPTY = Plan((), HostState(), HostState())
SPEC = """
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces: { lan0: { networks: 192.168.1.0/24 } }
  uplinks:
    dial-in: { interface: ppp0, addresses: auto }
    fibre-in-the-northern-building-street-1: { interface: wan0, nextHop: auto, addresses: auto, default: true }
    fibre-in-the-northern-building-street-2: { interface: wan1, nextHop: 203.0.113.1, addresses: 203.0.113.2 }
  sourceNat: [ { name: everyone, as: fibre-in-the-northern-building-street-1 } ]
"""


def shown(width: int) -> str:
    """The uplinks, on a host on which none has a lease, on a terminal of so many columns."""
    spec = load_texts({"edge.yaml": SPEC}).spec
    facts = assume_missing(spec, Facts("edge"))
    links = {name: replace(link, addresses=(), next_hops=()) for name, link in facts.links.items()}
    topology = resolve("edge", spec, replace(facts, links=links))
    file = StringIO()
    Console(file=file, width=width).print(status_text("edge", replace(EMPTY, topology=topology), {}))
    return file.getvalue().partition("\nuplinks")[2]


def test_an_uplink_that_waits_for_its_router_is_no_point_to_point_link() -> None:
    lines = {line.split()[0]: line for line in shown(100).splitlines() if line.strip()}
    assert "point-to-point" in lines["dial-in"]
    assert "point-to-point" not in lines["fibre-in-the-northern-building-street-1"]
    assert "none" in lines["fibre-in-the-northern-building-street-1"]


def test_long_names_are_not_cut_where_they_begin_to_differ() -> None:
    assert "…" not in shown(60)


def test_programs_are_told_of_the_uplinks_what_people_are() -> None:
    spec = load_texts({"edge.yaml": SPEC}).spec
    facts = assume_missing(spec, Facts("edge"))
    links = dict(facts.links)
    links["wan0"] = replace(links["wan0"], up=False, addresses=(), next_hops=())
    del links["ppp0"]
    topology = resolve("edge", spec, replace(facts, links=links))
    dial_in, one, two = status_json("edge", replace(EMPTY, topology=topology), {})["uplinks"]
    assert dial_in == {
        "name": "dial-in",
        "default": False,
        "interface": "ppp0",
        "state": "absent",
        "pointToPoint": True,
        "nextHops": [],
        "addresses": [],
        "translateTo": [],
        "sources": [],
    }
    assert (one["default"], one["state"], one["pointToPoint"]) == (True, "down", False)
    assert (two["state"], two["nextHops"]) == ("up", ["203.0.113.1"])
    assert two["translateTo"] == ["203.0.113.2"]
    assert (two["addresses"], two["sources"]) == (["203.0.113.2"], ["203.0.113.2/32"])


def test_without_a_spec_there_is_no_uplink_to_tell_of() -> None:
    assert status_json("", EMPTY, {})["uplinks"] == []
