"""`nvictl status`: what an administrator sees of uplinks in trouble."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from nvi_operator.cli.watch import fitted, new_events
from nvi_operator.events.moment import ago
from nvi_operator.kinds.link import Link
from nvi_operator.language.load.loader import load_texts
from nvi_operator.plan.change import Plan
from nvi_operator.state.host import HostState, Ref
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.health import HealthFacts, ProbedState
from nvi_operator.topology.resolve import resolve
from nvi_operator.view.segment import unstyled
from nvi_operator.view.status import DaemonStatus, StatusData, status_data
from nvi_operator.view.status_text import rates, status_text
from tests.unit.view.lines import text_of

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
TWO_WAYS = """
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces: { lan0: { networks: 192.168.1.0/24 } }
  uplinks:
    isp-a: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, health: [192.0.2.80] }
    lte: { interface: wwan0, nextHop: 198.51.100.1, addresses: 198.51.100.2 }
  defaultUplink: { first: [isp-a, lte] }
  sourceNat: [ { name: everyone, as: { first: [isp-a, lte] } } ]
"""


def shown(width: int) -> str:
    """The uplinks, on a host on which none has a lease, on a terminal of so many columns."""
    spec = load_texts({"edge.yaml": SPEC}).spec
    facts = assume_missing(spec, Facts("edge"))
    links = {name: replace(link, addresses=(), next_hops=()) for name, link in facts.links.items()}
    topology = resolve("edge", spec, replace(facts, links=links))
    found = status_data("edge", replace(EMPTY, topology=topology), {})
    return text_of(status_text(found, width)).partition("\nuplinks")[2]


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
    dial_in, one, two = status_data("edge", replace(EMPTY, topology=topology), {})["uplinks"]
    assert dial_in == {
        "name": "dial-in",
        "default": False,
        "defaultNow": False,
        "interface": "ppp0",
        "state": "absent",
        "health": "ppp0 is absent",
        "since": None,
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
    assert status_data("", EMPTY, {})["uplinks"] == []


EVENTS = [
    {
        "number": n,
        "time": "2026-11-28T17:00:02.000Z",
        "event": "uplink-down",
        "level": "warning",
        "summary": "x",
        "text": "x",
    }
    for n in range(1, 4)
]


def data(**more: Any) -> StatusData:
    """Of a gateway with two uplinks, of which the probes of one fail, as its daemon tells it."""
    spec = load_texts({"edge.yaml": SPEC}).spec
    health = {"fibre-in-the-northern-building-street-2": ProbedState("down", 970.0, "ping 192.0.2.1: no answer")}
    topology = resolve("edge", spec, replace(assume_missing(spec, Facts("edge")), health=HealthFacts(health)))
    link = Link("nvi0", "ifb", 79, 65535)
    before = HostState({Ref("link", "nvi0"): link})
    daemon: DaemonStatus = {
        "pid": 812,
        "spec": "/etc/nvi-operator",
        "since": "1970-01-01T00:00:00.000Z",
        "revision": "a1b2c3d (main)",
        "errors": [],
        "paused": {"rule x": 42.0},
    }
    found = status_data(
        "edge",
        replace(EMPTY, topology=topology, before=before),
        {"nft table inet nvi": {"snat_everyone": 7, "spoofed": 3, "untracked": 0}},
        (),
        since={"fibre-in-the-northern-building-street-1": 400.0},
        daemon=daemon,
        events=EVENTS,
    )
    return {**found, **more}  # type: ignore[typeddict-item]


def drawn(found: StatusData, width: int = 80, **how: Any) -> str:
    return text_of(status_text(found, width, now=1000.0, **how))


def test_the_first_lines_say_which_revision_and_whether_it_is_in_sync_or_why_not() -> None:
    assert drawn(data()).startswith("gateway edge at a1b2c3d (main): in sync: as the spec says\n")
    assert drawn(data(differences=2)).startswith("gateway edge at a1b2c3d (main): 2 differences from the spec")
    wrong = data()
    assert wrong["daemon"]
    wrong["daemon"]["errors"].append("gateway.yaml:3:5: no such uplink\n  hint: did you mean 'isp-a'?")
    assert drawn(wrong).splitlines()[:3] == [
        "gateway edge at a1b2c3d (main): degraded: 1 error",
        "error   gateway.yaml:3:5: no such uplink",
        "          hint: did you mean 'isp-a'?",
    ]


def test_an_uplink_tells_its_health_and_since_when() -> None:
    _, fibre, other = data()["uplinks"]
    assert (other["state"], other["health"], other["since"]) == (
        "up",
        "ping 192.0.2.1: no answer",
        "1970-01-01T00:16:10.000Z",
    )
    assert (fibre["health"], fibre["since"]) == ("no address", "1970-01-01T00:06:40.000Z")
    words = " ".join(drawn(data(), 160).split())
    assert "street-2 wan1 down: ping 192.0.2.1: no answer 30 s" in words
    assert "street-1 (default) wan0 down: no address 10 min" in words


def test_status_fits_80_columns_and_tells_what_the_daemon_knows() -> None:
    text = drawn(data())
    assert max(map(len, text.splitlines())) <= 80
    for said in ("paused  rule x: for another 42 s", "(pid 812), for 16 min", "sourceNat  everyone", "uplink-down"):
        assert said in text


def test_a_screen_that_is_drawn_again_leaves_out_what_is_0_and_tells_speeds() -> None:
    before, after = data(), data()
    after["counters"]["nft table inet nvi"]["spoofed"] = 13
    text = drawn(after, quiet=True, rates=rates(before, after, 2.0))
    assert "untracked" not in text
    assert "spoofed       13   5  dropped" in text
    assert "untracked" not in drawn(after)
    assert drawn(after).endswith("\n1 other counter at 0 (see -o json)\n")


def test_status_says_which_of_several_uplinks_takes_new_flows_now() -> None:
    spec = load_texts({"edge.yaml": TWO_WAYS}).spec

    def now(state: Literal["up", "down"]) -> tuple[list[str], list[str]]:
        health = HealthFacts({"isp-a": ProbedState(state)})
        topology = resolve("edge", spec, replace(assume_missing(spec, Facts("edge")), health=health))
        found = status_data("edge", replace(EMPTY, topology=topology), {})
        return [uplink["name"] for uplink in found["uplinks"] if uplink["defaultNow"]], found["rules"][0]["uplinks"]

    assert now("up") == (["isp-a"], ["isp-a"])
    assert now("down") == (["lte"], ["lte"])


def test_an_event_of_another_day_has_its_date() -> None:
    today = datetime.fromisoformat("2026-11-28T18:00:00Z").timestamp()
    assert "\n2026" not in drawn_at(today)
    assert "\n2026-11-28 " in drawn_at(today + 86400)


def drawn_at(now: float) -> str:
    return text_of(status_text(data(), 200, now=now))


def test_durations_are_short() -> None:
    assert [ago(s) for s in (0, 59, 60, 3600, 7500, 86400 * 3 + 3600 * 4)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h 0 min",
        "2 h 5 min",
        "3 d 4 h",
    ]


def test_a_screen_shows_uplinks_below_many_faults_and_says_how_much_it_has_no_room_for() -> None:
    found = data()
    found["degraded"] = [f"forward web{number}: its server is down" for number in range(30)]
    lines = list(status_text(found, 80, quiet=True))
    shown = [unstyled(each) for each in fitted(lines, 12)]
    assert len(shown) == 12
    assert "fault   and 25 more (see -o json)" in shown
    assert "uplinks" in shown
    assert shown[-1] == f"... {len(lines) - 11} more lines (see nvictl status)"
    assert fitted(lines, len(lines)) == lines


def test_a_watch_in_a_pipe_tells_each_event_once_and_all_of_a_new_daemon() -> None:
    def numbers(heard: int | None) -> list[int]:
        return [event["number"] for event in new_events(data(), heard)]

    assert (numbers(None), numbers(0), numbers(1), numbers(3), numbers(9)) == ([], [1, 2, 3], [2, 3], [], [1, 2, 3])
