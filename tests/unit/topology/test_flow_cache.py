"""When a flow cache is on, and what is told where it is not."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from nvi_operator.kinds import KINDS
from nvi_operator.kinds.flow_cache import HOOKS, FlowCacheOptions, FlowCacheProgram
from nvi_operator.kinds.link import Link
from nvi_operator.kmod.facts import ModuleFacts
from nvi_operator.language.load.loader import load_texts
from nvi_operator.plan.change import Action
from nvi_operator.plan.compile import desired_state
from nvi_operator.plan.diff import plan
from nvi_operator.state.host import HostState
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.blockers import Blocker
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve

SPEC = """
apiVersion: nvi-operator/v1
kind: Gateway
metadata: {{ name: edge }}
spec:
  dataplane: {{ type: {}, {} }}
  interfaces: {{ lan0: {{ networks: [192.168.1.0/24, "fd00:1::/64"] }} }}
  uplinks:
    isp-a: {{ interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, default: true }}
    isp-b: {{ interface: ppp0, nextHop: 198.51.100.1, addresses: 198.51.100.2 }}
"""


def topology(
    dataplane: str = "flowCache: auto", *, type_: str = "bpf", missing: str = "", **changes: object
) -> Topology:
    spec = load_texts({"edge.yaml": SPEC.format(type_, dataplane)}).spec
    facts = assume_missing(spec, Facts("host"))
    links = {name: replace(link, mac=None if name == "ppp0" else link.mac) for name, link in facts.links.items()}
    links.pop(missing, None)
    return resolve("edge", spec, replace(facts, links=MappingProxyType(links), **changes))


def cache_notes(found: Topology) -> list[str]:
    return [note for note in found.notes if note.startswith("flow cache")]


def programs(state: HostState) -> list[FlowCacheProgram]:
    return [obj for obj in state.of_kind("flow-cache") if isinstance(obj, FlowCacheProgram)]


def test_off_is_the_default_and_says_nothing() -> None:
    found = topology("hideHop: false")
    assert found.flow_cache is None
    assert not cache_notes(found)
    assert not programs(desired_state(found))


def test_it_is_at_every_interface_that_exists_and_caches_where_frames_have_an_ethernet_header() -> None:
    found = topology()
    assert cache_notes(found) == ["flow cache: off at ppp0: ppp0 has frames without an Ethernet header"]
    caches = {each.key: each.options is not None and each.options.caches for each in programs(desired_state(found))}
    for hook in HOOKS:
        assert [caches[f"{ifname} {hook}"] for ifname in ("lan0", "wan0", "ppp0")] == [True, True, False]
    assert {each.ifname for each in programs(desired_state(topology(missing="wan0")))} == {"lan0", "ppp0"}


def test_one_blocker_of_the_whole_gateway_switches_it_off_and_says_what_to_do() -> None:
    found = topology(
        blockers=(Blocker("counter", "rule inet fw forward handle 7", "nft delete rule inet fw forward handle 7"),)
    )
    assert found.flow_cache is None
    assert (
        "flow cache: off: rule inet fw forward handle 7 counts every packet; nft delete rule inet fw forward handle 7"
        in cache_notes(found)
    )
    assert not programs(desired_state(found))


def test_a_blocker_of_one_interface_leaves_the_others_cached() -> None:
    found = topology(blockers=(Blocker("tcx_program", "program shaper 12 at tcx ingress of lan0", ifname="lan0"),))
    assert found.flow_cache is not None
    assert found.flow_cache.cached == {"wan0"}


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("keepMarks: true", "keepMarks lets each packet"),
        ("ipsec: true", "policies, as the spec has dataplane.ipsec, may"),
    ],
)
def test_settings_that_it_would_break_switch_it_off(setting: str, why: str) -> None:
    found = topology(f"flowCache: auto, {setting}")
    assert found.flow_cache is None
    assert cache_notes(found)[0].startswith(f"flow cache: off: {why} ")


def test_the_modules_cache_sees_what_programs_at_the_ingress_do_and_extends_timeouts_itself() -> None:
    """It is one for all interfaces: what blocks one of them switches it off."""
    module = {"module": ModuleFacts(loaded=True, loaded_version="0.3.0")}
    seen = (Blocker("tcx_program", "program shaper 12 at tcx ingress of lan0", ifname="lan0"),)
    timeouts = MappingProxyType({"nf_conntrack_udp_timeout": 1})
    found = topology("flowCache: auto", type_="kmod", blockers=seen, timeouts=timeouts, **module)
    assert not cache_notes(found)
    assert found.flow_cache is not None
    assert "ppp0" in found.flow_cache.cached
    assert attribute(found) == 1
    blocked = (Blocker("bridge_netfilter", "bridge-nf-call-iptables is 1: it", ifname="lan0"),)
    found = topology("flowCache: auto", type_="kmod", blockers=blocked, **module)
    assert found.flow_cache is None
    assert attribute(found) == 0
    assert len(cache_notes(found)) == 1


def attribute(found: Topology) -> int:
    (link,) = desired_state(found).of_kind("link")
    assert isinstance(link, Link)
    return dict(link.attributes)["flow_cache"]


@pytest.mark.parametrize(("seconds", "interval"), [(30, 10_000), (5, 2_500), (2, 1_000)])
def test_a_flow_is_confirmed_twice_within_conntracks_shortest_timeout(seconds: int, interval: int) -> None:
    found = topology(timeouts=MappingProxyType({"nf_conntrack_udp_timeout": seconds}))
    assert found.flow_cache is not None
    assert found.flow_cache.interval == interval


def test_a_timeout_that_is_too_short_for_that_switches_it_off() -> None:
    found = topology(timeouts=MappingProxyType({"nf_conntrack_udp_timeout": 1}))
    assert found.flow_cache is None
    assert any("net.netfilter.nf_conntrack_udp_timeout is 1" in note for note in cache_notes(found))


def test_conntrack_takes_segments_out_of_its_window_while_a_cache_is_on() -> None:
    path = "net/netfilter/nf_conntrack_tcp_be_liberal"
    on, off = ({o.key for o in desired_state(topology(d)).of_kind("sysctl")} for d in ("flowCache: auto", ""))
    assert path in on
    assert path not in off
    assert KINDS["sysctl"].restores(path, "0")
    after = topology("", liberal=True)
    assert path in {obj.key for obj in desired_state(after).of_kind("sysctl")}, "for what was cached"


def test_conntrack_keeps_taking_them_when_the_cache_goes_off() -> None:
    """It never catches up with a connection of which it missed segments."""
    path = "net/netfilter/nf_conntrack_tcp_be_liberal"
    for dataplane in ("flowCache: auto, keepMarks: true", "flowCache: off"):
        assert path in {o.key for o in desired_state(topology(dataplane, liberal=True)).of_kind("sysctl")}
        assert path not in {o.key for o in desired_state(topology(dataplane)).of_kind("sysctl")}


def steps(before: Topology | None, after: Topology | None) -> list[tuple[str, str, Action]]:
    states = [desired_state(each) if each else HostState() for each in (before, after)]
    return [(change.ref.kind, change.ref.key, change.action) for change in plan(*states).steps]


ON = [f"{ifname} {hook}" for hook in HOOKS for ifname in ("lan0", "ppp0", "wan0")]


def test_it_comes_on_last_and_learns_before_it_uses_what_it_learned() -> None:
    for before in (None, topology("")):
        assert steps(before, topology())[-6:] == [("flow-cache", name, Action.CREATE) for name in ON]


def test_it_goes_off_first() -> None:
    for after in (None, topology("")):
        assert steps(topology(), after)[:6] == [("flow-cache", name, Action.DELETE) for name in reversed(ON)]


def test_another_stage_bit_takes_it_off_before_anything_else_changes() -> None:
    done = steps(topology(), topology("flowCache: auto, stageBit: 29"))
    cache = [number for number, (kind, _, _) in enumerate(done) if kind == "flow-cache"]
    assert [done[number][2] for number in cache] == [Action.DELETE] * 6 + [Action.CREATE] * 6
    assert cache[:6] == [0, 1, 2, 3, 4, 5]
    assert all(action is Action.DELETE for _, _, action in done[cache[-1] + 1 :]), "what is left over"


def test_other_options_replace_the_programs_in_place() -> None:
    done = steps(topology(), topology("flowCache: auto, flowCacheEntries: 1024"))
    assert done == [("flow-cache", name, Action.UPDATE) for name in ON if not name.startswith("ppp0")]


def test_it_is_described_by_what_it_holds() -> None:
    describe = KINDS["flow-cache"].describe
    options = FlowCacheOptions(1 << 31, (65536, 0), 10_000)
    text = "lan0 ingress: 65536 IPv4 entries, confirmed at least every 10000 ms"
    assert describe(FlowCacheProgram("lan0", "ingress", options)) == text
    assert describe(FlowCacheProgram("lan0", "egress", None)) == "lan0 egress: a foreign program"
