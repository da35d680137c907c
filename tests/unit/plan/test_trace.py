"""A plan tells what an edit of the spec does to its entries; drift tells which entries no longer work."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from typing import Any

import pytest
import yaml

from nvi_operator.kinds.egress_guard import EgressGuard
from nvi_operator.language.fast.delta import Delta
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.nft.ast import Table
from nvi_operator.plan.change import Plan
from nvi_operator.plan.compile import desired_state
from nvi_operator.plan.diff import plan
from nvi_operator.plan.incremental import state_after
from nvi_operator.plan.trace import trace
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts, LinkFact
from nvi_operator.topology.incremental import topology_after
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve
from nvi_operator.view.entries import ROOM, entry_json, entry_lines

BASE = """
interfaces:
  lan0: { networks: 192.168.1.0/24 }
uplinks:
  isp-a: { interface: wan0, addresses: 203.0.113.2, nextHop: 203.0.113.1, routed: 203.0.113.16/28, default: true }
sourceNat:
  - name: everyone
    as: isp-a
forwards:
  web: { at: isp-a, ports: 443/tcp, to: 192.168.1.80 }
"""


def spec_of(text: str) -> GatewaySpec:
    return GatewaySpec.model_validate(yaml.safe_load(text))


def topology_of(spec: GatewaySpec) -> Topology:
    return resolve("edge", spec, assume_missing(spec, Facts("host")))


def edited(**sections: Any) -> Topology:
    """The base spec with other sections; of a mapping None removes an entry."""
    data = yaml.safe_load(BASE)
    for name, section in sections.items():
        given = yaml.safe_load(section)
        if isinstance(given, dict):
            data[name] = {k: v for k, v in (data.get(name, {}) | given).items() if v is not None}
        else:
            data[name] = given
    return topology_of(GatewaySpec.model_validate(data))


NOW = topology_of(spec_of(BASE))


def steps(before: Topology | None, after: Topology | None) -> Plan:
    live, desired = (desired_state(topology) if topology else HostState() for topology in (before, after))
    return replace(plan(live, desired), topology=after)


def lines(made: Plan, was: Topology | None = None, *, drift: bool = False, gateway: bool = False) -> list[str]:
    """Signed lines; those of the gateway itself only if they are asked for."""
    shown = (f"{sign} {text}" for sign, text in entry_lines(trace(made, was), drift=drift))
    return [line for line in shown if gateway or "the gateway itself" not in line]


# --------------------------------------------------------------------------- an edit, in words


def test_what_a_server_beside_its_clients_needs_is_no_entry_of_its_own() -> None:
    spec = spec_of(BASE + "redirects: {dns: {ports: 53/udp, to: 192.168.1.53}}")
    lan = LinkFact("lan0", 2, "02:00:00:00:00:02", addresses=(ip_interface("192.168.1.1/24"),))
    after = resolve("edge", spec, assume_missing(spec, Facts("host", {"lan0": lan})))
    assert any(beside.own for rule in after.redirects for beside in rule.beside)
    made = lines(steps(None, after))
    assert "+ redirect dns: new: 53/udp from 192.168.1.0/24 goes to 192.168.1.53" in made
    assert not any("static" in line for line in made)


def test_another_server_is_told_once_for_all_uplinks_and_both_families() -> None:
    uplinks = (
        "{ isp-a: { addresses: [203.0.113.2, 2001:db8:a::2], nextHop: [203.0.113.1, 2001:db8:a::1] }, "
        "isp-b: { interface: wan1, addresses: [198.51.100.2, 2001:db8:b::2], "
        "nextHop: [198.51.100.1, 2001:db8:b::1] } }"
    )
    data = yaml.safe_load(BASE)
    data["interfaces"]["lan0"]["networks"] = ["192.168.1.0/24", "fd00:1::/64"]
    for name, uplink in yaml.safe_load(uplinks).items():
        data["uplinks"][name] = data["uplinks"].get(name, {}) | uplink
    old, new = (
        topology_of(GatewaySpec.model_validate(data | {"forwards": {"web": {"ports": "443/tcp", "to": to}}}))
        for to in (["192.168.1.80", "fd00:1::80"], ["192.168.1.81", "fd00:1::81"])
    )
    servers = "192.168.1.81 and fd00:1::81, no longer to 192.168.1.80 and fd00:1::80"
    assert lines(steps(old, new)) == [f"~ forward web: 443/tcp on isp-a, isp-b now goes to {servers}"]
    there = "192.168.1.80 and fd00:1::80 instead of 192.168.1.81 and fd00:1::81"
    assert lines(steps(old, new), drift=True) == [f"~ forward web: 443/tcp on isp-a, isp-b goes to {there}"]


EDITS: dict[str, tuple[Topology, list[str]]] = {
    "a-redirect": (
        edited(redirects="{dns: {ports: 53/udp, to: 192.168.1.53}, ntp: {in: lan0, ports: 123/udp, to: self}}"),
        [
            "+ redirect dns: new: 53/udp from 192.168.1.0/24 goes to 192.168.1.53",
            "+ redirect ntp: new: 123/udp from 192.168.1.0/24 in by lan0 goes to the gateway",
        ],
    ),
    "another-server": (
        edited(forwards="web: { at: isp-a, ports: 443/tcp, to: '192.168.1.80:8443' }"),
        ["~ forward web: 443/tcp on isp-a now goes to 192.168.1.80:8443, no longer to 192.168.1.80"],
    ),
    "one-port-more": (
        edited(forwards="web: { at: isp-a, ports: [80/tcp, 443/tcp], to: 192.168.1.80 }"),
        ["~ forward web: 80/tcp on isp-a now goes to 192.168.1.80"],
    ),
    "a-new-forward": (
        edited(forwards="dns: { at: isp-a, ports: [53/tcp, 53/udp], to: 192.168.1.53 }"),
        ["+ forward dns: new: 53/tcp, 53/udp on isp-a go to 192.168.1.53"],
    ),
    "a-forward-for-some-clients": (
        edited(forwards="office: { at: 203.0.113.18, ports: 5432/tcp, to: 192.168.1.80, from: 192.0.2.0/24 }"),
        ["+ forward office: new: 5432/tcp from 192.0.2.0/24 on 203.0.113.18 goes to 192.168.1.80"],
    ),
    "a-balanced-forward": (
        edited(forwards="farm: { at: isp-a, ports: 80/tcp, to: { 192.168.1.80: 1, 192.168.1.81: 1 } }"),
        ["+ forward farm: new: 80/tcp on isp-a goes to one of 192.168.1.80, 192.168.1.81"],
    ),
    "a-forward-that-leaves": (
        edited(forwards="web: null"),
        ["- removed forward: 443/tcp on isp-a went to 192.168.1.80"],
    ),
    "a-new-uplink": (
        edited(uplinks="isp-b: { interface: wan1, addresses: 198.51.100.2, nextHop: 198.51.100.1 }"),
        ["+ uplink isp-b: new: next hop 198.51.100.1 on wan1; address 198.51.100.2"],
    ),
    "another-router": (
        edited(
            uplinks="isp-a: { interface: wan0, addresses: 203.0.113.2, nextHop: 203.0.113.9, "
            "routed: 203.0.113.16/28 }"
        ),
        ["~ uplink isp-a: next hop now 203.0.113.9, no longer 203.0.113.1"],
    ),
    "one-network-more-inside": (
        edited(interfaces="lan1: { networks: 10.0.0.0/24 }"),
        [
            "+ interface lan1: new: network 10.0.0.0/24",
            "~ sourceNat everyone: 10.0.0.0/24, 192.168.1.0/24 now leaves as isp-a (203.0.113.2); "
            "192.168.1.0/24 no longer leaves as isp-a (203.0.113.2)",
        ],
    ),
    "1:1-nat": (
        edited(static="dmz: { address: 192.168.1.10, as: 203.0.113.17 }"),
        ["+ static dmz: new: 192.168.1.10 is known as 203.0.113.17"],
    ),
    "1:1-nat-for-some": (
        edited(static="dmz: { address: 192.168.1.10, as: 203.0.113.17, to: 192.0.2.0/24 }"),
        ["+ static dmz: new: 192.168.1.10 is known as 203.0.113.17"],
    ),
    "a-line-of-source-nat": (
        edited(sourceNat="[{ name: server, from: 192.168.1.80, as: 203.0.113.18 }, { name: everyone, as: isp-a }]"),
        ["+ sourceNat server: new: 192.168.1.80 leaves as 203.0.113.18"],
    ),
    "another-address": (
        edited(sourceNat="[{ name: everyone, as: 203.0.113.19 }]"),
        ["~ sourceNat everyone: 192.168.1.0/24 now leaves as 203.0.113.19, no longer as isp-a (203.0.113.2)"],
    ),
    "twice-nat": (
        edited(
            uplinks="partner: { interface: part0, addresses: 10.255.0.2, nextHop: 10.255.0.1, routed: 10.1.0.0/24 }",
            twiceNat="site: { from: 192.168.1.0/24, as: 10.1.0.0/24, to: 10.2.0.0/24, becomes: 192.168.1.0/24, "
            "via: partner }",
        ),
        [
            "+ uplink partner: new: next hop 10.255.0.1 on part0; addresses 10.1.0.0/24, 10.255.0.2",
            "+ twiceNat site: new: 192.168.1.0/24 to 10.2.0.0/24 gets destination 192.168.1.0/24 "
            "and source 10.1.0.0/24",
        ],
    ),
    "a-route": (
        edited(routes="[{ name: voice, to: 192.0.2.0/25, via: isp-a }]"),
        ["+ route voice: new: to 192.0.2.0/25 leaves by isp-a"],
    ),
}


@pytest.mark.parametrize(("after", "expected"), EDITS.values(), ids=EDITS)
def test_an_edit_is_told_in_the_words_of_the_spec(after: Topology, expected: list[str]) -> None:
    assert lines(steps(NOW, after)) == expected


def test_prefix_nat_has_its_own_name_beside_a_1_to_1_entry_of_the_same() -> None:
    both = edited(
        interfaces="{ lan0: { networks: [192.168.1.0/24, 'fd00:1::/64'] } }",
        static="{ lan: { address: 192.168.1.7, as: 203.0.113.17 } }",
        prefixNat="{ lan: { address: 'fd00:1::/64', as: '2001:db8:a:2::/64' } }",
    )
    told = lines(steps(NOW, both))
    assert "+ static lan: new: 192.168.1.7 is known as 203.0.113.17" in told
    assert "+ prefixNat lan: new: fd00:1::/64 is known as 2001:db8:a:2::/64" in told
    assert "- prefixNat lan: removed: fd00:1::/64 was known as 2001:db8:a:2::/64" in lines(steps(both, NOW), both)


def test_an_address_that_stays_is_not_told_where_it_is_the_last_one() -> None:
    """One address stands in the rules themselves, and several in a set."""
    entry = "isp-a: { interface: wan0, addresses: 203.0.113.2, nextHop: 203.0.113.1, default: true }"
    alone = edited(uplinks=f"{{ {entry} }}")
    assert lines(steps(NOW, alone))[0] == "~ uplink isp-a: no longer with address 203.0.113.16/28"
    assert lines(steps(alone, NOW))[0] == "~ uplink isp-a: now with address 203.0.113.16/28"


def test_what_only_follows_from_an_edit_is_the_gateways_own() -> None:
    after = EDITS["a-new-uplink"][0]
    (own,) = [line for line in lines(steps(NOW, after), gateway=True) if "the gateway itself" in line]
    assert own.startswith("~ the gateway itself: 5 eBPF programs, ")
    assert own.endswith(" nft rules changed")


def test_a_removed_entry_has_its_name_where_the_spec_before_is_known() -> None:
    after = edited(forwards="web: null")
    assert lines(steps(NOW, after), NOW) == ["- forward web: removed: 443/tcp on isp-a went to 192.168.1.80"]


def test_an_uplink_that_leaves_is_named_by_the_live_table() -> None:
    before = edited(uplinks="isp-b: { interface: wan1, addresses: 198.51.100.2, nextHop: 198.51.100.1 }")
    assert lines(steps(before, NOW)) == [
        "- uplink isp-b: removed: next hop 198.51.100.1 on wan1; address 198.51.100.2"
    ]


def test_a_source_nat_rule_that_leaves_is_named_by_its_counter() -> None:
    before = EDITS["a-line-of-source-nat"][0]
    assert lines(steps(before, NOW)) == ["- sourceNat server: removed: 192.168.1.80 left as 203.0.113.18"]


def test_an_uplink_whose_table_moves_for_another_is_not_new() -> None:
    """Tables are numbered in the order of names."""
    after = edited(uplinks="a-first: { interface: wan1, addresses: 198.51.100.2, nextHop: 198.51.100.1 }")
    first, second = lines(steps(NOW, after))
    assert first == "+ uplink a-first: new: next hop 198.51.100.1 on wan1; address 198.51.100.2"
    assert second.startswith("~ uplink isp-a: ")


def test_down_is_told_by_what_goes() -> None:
    shown = lines(steps(NOW, None), gateway=True)
    assert shown[0] == "- uplink isp-a: removed: next hop 203.0.113.1 on wan0"
    assert "- sourceNat everyone: removed: 192.168.1.0/24 left as 203.0.113.2" in shown
    assert shown[-1].startswith("- the gateway itself: device nvi0, ")
    assert {line[0] for line in shown} == {"-"}


# --------------------------------------------------------------------------- a screen


def rows(shown: list[str]) -> int:
    return sum(1 + (len(line) - 1) // 80 for line in shown)


def many(count: int, to: str = "192.168.1.80", *, first: int = 0) -> Topology:
    ports = (f"f{n:05}: {{ at: isp-a, ports: {1000 + n}/tcp, to: {to} }}" for n in range(first, count))
    return edited(forwards="\n".join(ports))


def test_a_first_apply_fits_a_screen_and_counts_large_sections() -> None:
    shown = lines(steps(None, many(1200)), gateway=True)
    assert rows(shown) <= ROOM
    assert "+ forwards: 1,201 new" in shown


def test_a_few_changed_entries_of_a_large_section_are_named() -> None:
    before = many(40)
    assert lines(steps(before, many(43, "192.168.1.9", first=3)), before) == [
        "~ forwards: 3 new (f00040, f00041, f00042), 37 changed, 3 removed (f00000, f00001, f00002)"
    ]


def test_in_full_each_entry_is_a_line() -> None:
    assert len(list(entry_lines(trace(steps(NOW, many(40))), full=True))) == 40


def test_very_many_elements_are_counted_and_not_looked_at() -> None:
    shown = lines(steps(None, many(3000)), gateway=True)
    assert "+ forwards: 3,001 public ports new" in shown


def test_an_edit_of_one_among_many_is_named_from_the_edit() -> None:
    text = BASE + "".join(f"  f{n}: {{ at: isp-a, ports: {1000 + n}/tcp, to: 192.168.1.80 }}\n" for n in range(50))
    spec, moved = spec_of(text), spec_of(text.replace("1007/tcp, to: 192.168.1.80", "1007/tcp, to: 192.168.1.81"))
    topology = topology_of(spec)
    delta = topology_after(topology, Delta.between("forwards", spec.forwards, moved.forwards))
    assert delta
    desired = desired_state(topology)
    after = state_after(desired, delta)
    assert after
    blind = replace(delta.whole, forwards=())  # so that nothing but the delta can know the name
    made = replace(plan(desired, after), topology=blind, delta=delta)
    (effect,) = trace(made)
    assert (effect.entry.section, effect.entry.name) == ("forwards", "f7")


# --------------------------------------------------------------------------- drift


def without(topology: Topology, found: Any) -> Plan:
    """What heals a host on which objects are missing."""
    desired = desired_state(topology)
    live = HostState({ref: obj for ref, obj in desired.objects.items() if not found(obj)})
    return replace(plan(live, desired), topology=topology)


def flushed(topology: Topology, name: str) -> Plan:
    """What heals a table with an empty map."""
    desired = desired_state(topology)
    (table,) = desired.of_kind("nft-table")
    assert isinstance(table, Table)
    sets = frozenset(replace(s, elements=frozenset()) if s.name == name else s for s in table.sets)
    return replace(plan(desired.plus([("nft-table", replace(table, sets=sets))]), desired), topology=topology)


def test_drift_says_which_forward_no_longer_works() -> None:
    assert lines(flushed(NOW, "dnat_port_4"), drift=True) == [
        "- forward web: 443/tcp on isp-a does not go to 192.168.1.80"
    ]


def test_drift_says_which_server_a_forward_has_instead() -> None:
    other = edited(forwards="web: { at: isp-a, ports: 443/tcp, to: 192.168.1.99 }")
    assert lines(steps(other, NOW), drift=True) == [
        "~ forward web: 443/tcp on isp-a goes to 192.168.1.99 instead of 192.168.1.80"
    ]


def test_drift_says_whose_ip_rule_is_missing() -> None:
    lost = without(NOW, lambda obj: isinstance(obj, FibRule) and obj.source == "203.0.113.2/32")
    assert lines(lost, drift=True) == ["~ uplink isp-a: 1 ip rule missing (address 203.0.113.2)"]


def test_drift_says_whose_program_is_missing() -> None:
    lost = without(NOW, lambda obj: isinstance(obj, EgressGuard) and obj.ifname == "wan0")
    assert lines(lost, drift=True) == ["~ uplink isp-a: 1 eBPF program missing (wan0 egress)"]


def test_drift_names_what_the_spec_does_not_know() -> None:
    assert lines(steps(edited(forwards="dns: { at: isp-a, ports: 53/udp, to: 192.168.1.53 }"), NOW), drift=True) == [
        "+ unknown forward: 53/udp on isp-a goes to 192.168.1.53"
    ]


# --------------------------------------------------------------------------- for programs


def test_in_json_an_entry_has_its_facts_and_its_steps() -> None:
    made = steps(NOW, EDITS["another-server"][0])
    (effect,) = trace(made)
    assert entry_json(effect) == {
        "section": "forwards",
        "name": "web",
        "action": "update",
        "text": "forward web: 443/tcp on isp-a now goes to 192.168.1.80:8443, no longer to 192.168.1.80",
        "before": [{"what": "443/tcp", "on": "isp-a", "value": "192.168.1.80"}],
        "after": [{"what": "443/tcp", "on": "isp-a", "value": "192.168.1.80:8443"}],
        "steps": [0],
    }
