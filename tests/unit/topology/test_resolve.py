"""From a spec and the facts of a host to a gateway: what becomes of families, and of what is not there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.topology.gateways import AUTO, LAN, TWO, link, topology


def test_an_absent_interface_is_a_note_and_no_error() -> None:
    found = topology(LAN + TWO, link("lan0"), link("wan0"))
    assert "wan1: interface not found; its rules and routes are omitted until it appears" in found.notes
    assert found.uplink("isp-b").interface.ifindex is None
    assert not found.uplink("isp-b").interface.up


def test_an_inside_interface_in_the_group_of_the_uplinks_is_a_note() -> None:
    inside, uplink = replace(link("lan0"), group=78), replace(link("wan0"), group=78)
    notes = topology(LAN + AUTO, inside, uplink).notes
    assert [note for note in notes if "group" in note] == [
        "lan0: is in link group 78, that of the uplinks, so that nothing is sent to the networks behind it; "
        "ip link set lan0 group default"
    ]


def test_an_interface_that_is_down_is_a_note() -> None:
    found = topology(LAN + TWO, link("lan0", up=False), link("wan0"), link("wan1"))
    assert "lan0: is down; its routes are omitted until it is up" in found.notes


@pytest.mark.parametrize(
    ("chosen", "module", "dataplane"),
    [("auto", True, "kmod"), ("auto", False, "bpf"), ("bpf", True, "bpf"), ("kmod", False, "kmod")],
)
def test_the_dataplane_is_what_is_asked_for_or_what_can_be_had(chosen: str, module: bool, dataplane: str) -> None:
    assert topology(f"  dataplane: {{ type: {chosen} }}\n" + LAN + AUTO, module=module).dataplane == dataplane


@pytest.mark.parametrize(
    ("text", "in_interface"),
    [
        (LAN, "mark"),
        ("  dataplane: { keepMarks: true }\n" + LAN, "skb_iif"),
        (LAN.replace("networks", "tenant: red, networks"), "skb_iif"),
        ("  dataplane: { inInterface: skb_iif }\n" + LAN, "skb_iif"),
    ],
    ids=["mark-by-default", "marks-are-kept", "tenants-need-the-mark", "asked-for"],
)
def test_the_in_interface_is_read_from_the_mark_unless_the_mark_is_needed(text: str, in_interface: str) -> None:
    assert topology(text + AUTO).in_interface == in_interface


def test_two_namespaces_have_different_loop_tags_that_are_never_zero() -> None:
    tags = [topology(LAN + AUTO, cookie=cookie).loop_tag for cookie in (1, 2, 65534, 65535, 65536)]
    assert len(set(tags[:4])) == 4
    assert all(1 <= tag <= 65535 for tag in tags)


@pytest.mark.parametrize(
    ("text", "families"),
    [
        (LAN + TWO, (4, 6)),
        (LAN.replace(", 'fd00:1::/64'", "") + AUTO, (4,)),
        (LAN.replace("192.168.1.0/24, ", "") + AUTO, (6,)),
    ],
    ids=["both", "ipv4", "ipv6"],
)
def test_an_unused_family_is_left_alone(text: str, families: tuple[int, ...]) -> None:
    assert topology(text).families == families


def test_a_route_is_split_by_family() -> None:
    text = LAN + TWO + "  routes:\n    - { name: x, to: [192.0.2.0/24, '2001:db8:f::/48'], via: isp-a }\n"
    assert [route.conditions.family for route in topology(text).routes] == [4, 6]


@pytest.mark.parametrize(
    ("rule", "note"),
    [
        (
            "sourceNat: [{name: own, from: 192.168.1.1, as: isp-a}]",
            "sourceNat own: from 192.168.1.1 is the gateway itself: for what it sends itself write in: self",
        ),
        ("sourceNat: [{name: own, from: [192.168.1.1, 192.168.1.9], as: isp-a}]", ""),
        (
            "sourceNat: [{name: one, as: {uplinks: isp-a, pick: random}}]",
            "sourceNat one: pick random: there is only one",
        ),
        ("sourceNat: [{name: one, as: {uplinks: [isp-a, isp-b], pick: random}}]", ""),
        (
            "sourceNat: [{name: one, as: {uplinks: {isp-a: 1000, isp-b: 1}}}]",
            "sourceNat one: 1 of 1001 flows leave by isp-b also while the others work; for one in reserve write",
        ),
        ("sourceNat: [{name: one, as: {uplinks: {isp-a: 1000, isp-b: 0}}}]", ""),
        ("sourceNat: [{name: one, as: {uplinks: {isp-a: 99, isp-b: 1}}}]", "sourceNat one: 1 of 100 flows"),
        ("sourceNat: [{name: one, as: {uplinks: {isp-a: 98, isp-b: 1}}}]", ""),
        ("sourceNat: [{name: own, in: self, from: 192.168.1.1, as: isp-a}]", ""),
        ("routes: [{name: given, from: 203.0.113.2, via: isp-a}]", ""),
    ],
)
def test_a_rule_that_does_nothing_here_is_a_note(rule: str, note: str) -> None:
    links = (link("lan0", "192.168.1.1/24", "10.9.9.9/32"), link("wan0", "203.0.113.2/24"), link("wan1"))
    notes = [n for n in topology(LAN + TWO + f"  {rule}\n", *links).notes if n.startswith(("sourceNat", "route "))]
    assert len(notes) == bool(note)
    assert all(reported.startswith(note) for reported in notes)


@pytest.mark.parametrize(
    ("redirects", "told"),
    [
        ("dns: { ports: [53/udp, 53/tcp], to: 192.168.1.53 }", True),
        ("dns: { ports: 53/udp, to: 192.168.1.53, from: 192.168.1.0/24 }", False),
        ("dns: { ports: 53/udp, to: [192.168.1.53, 'fd00:1::53'] }", False),
        ("dns: { ports: 53/udp, to: self }", False),
        ("dns: { ports: 53/udp, to: 192.168.1.53 }\n    dns6: { ports: 53/udp, to: 'fd00:1::53' }", False),
    ],
)
def test_a_redirect_without_a_server_of_a_family_says_what_goes_where_it_is_sent(redirects: str, told: bool) -> None:
    notes = topology(LAN + TWO + f"  redirects:\n    {redirects}\n").notes
    found = [note for note in notes if "no IPv6 server" in note]
    assert [note.startswith("redirect dns: ") and "from: [192.168.1.0/24]" in note for note in found] == [True] * told
