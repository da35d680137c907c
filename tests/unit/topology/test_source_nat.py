"""What becomes of rules of sourceNat: by family, by uplink, and where an address is missing."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from nvi_operator.topology.facts import LinkFact
from nvi_operator.topology.rules import Choice, OneToOne, SourceAction, Spread, ToRange, Unavailable, Unchanged
from tests.unit.topology.gateways import AUTO, LAN, TWO, link, topology


def actions(rule: str, text: str = LAN + TWO, *links: LinkFact) -> dict[int, SourceAction]:
    found = topology(f"{text}  sourceNat:\n    - {{ name: x, {rule} }}\n", *links)
    return {rule.conditions.family: rule.action for rule in found.source_rules}


def test_a_rule_is_split_by_family_and_each_half_has_its_own_address() -> None:
    found = actions("as: isp-a")
    assert found.keys() == {4, 6}
    assert {str(o.addresses.first) for o in found.values() if isinstance(o, ToRange)} == {
        "203.0.113.2",
        "2001:db8:a::2",
    }


def test_a_rule_has_no_half_for_a_family_that_its_uplink_lacks() -> None:
    assert actions("as: isp-b").keys() == {4}


@pytest.mark.parametrize(
    ("rule", "behind", "noted"),
    [
        ("in: lan0", "as: isp-a", True),
        ('from: [192.168.1.7, "fd00:1::7"]', "as: isp-a", True),
        ("", "as: unchanged", True),
        ("from: 192.168.1.7", "as: isp-a", False),
        ("to: 192.0.2.0/24", "as: isp-a", False),
        ("", 'from: "fd00:1::/64", as: isp-a', False),
        ("", "from: 192.168.1.0/24, as: isp-a", False),
        ('from: [192.168.1.7, "fd00:1::7"]', 'from: [192.168.1.8, "fd00:1::8"], as: isp-a', False),
    ],
)
def test_a_family_that_leaves_by_a_rule_behind_is_noted_unless_that_is_meant(
    rule: str, behind: str, noted: bool
) -> None:
    rules = f"    - {{ name: vpn, as: isp-b, {rule} }}\n    - {{ name: all, {behind} }}\n"
    found = [note for note in topology(f"{LAN}{TWO}  sourceNat:\n{rules}").notes if "leaves by rule all" in note]
    assert len(found) == noted


def test_a_rule_has_no_half_for_a_family_that_its_conditions_lack() -> None:
    assert actions("as: isp-a, to: 192.0.2.0/24").keys() == {4}
    assert actions("as: isp-a, protocol: icmpv6").keys() == {6}


def test_without_a_lease_a_rule_drops_and_does_not_slip_to_the_next() -> None:
    found = actions("as: isp-a", LAN + AUTO, link("lan0"), link("wan0"))
    assert found == {4: Unavailable(), 6: Unavailable()}


def test_with_one_family_leased_the_other_waits_for_its_own() -> None:
    found = actions("as: isp-a", LAN + AUTO, link("lan0"), link("wan0", "100.64.0.9/22"))
    assert isinstance(found[4], ToRange)
    assert found[6] == Unavailable()


@pytest.mark.parametrize(
    ("wan1", "note"),
    [
        (link("wan1", "198.51.100.2/24", hops=("198.51.100.1",), up=False), "wan1: is down"),
        (replace(link("wan1", "198.51.100.2/24", hops=("198.51.100.1",)), carrier=False), "wan1: has no carrier"),
        (link("wan1", "198.51.100.2/24"), "uplink isp-b: main has no IPv4 default route through wan1 now"),
        (link("wan1", hops=("198.51.100.1",)), "uplink isp-b: wan1 has no address now"),
    ],
    ids=["down", "no carrier", "no router", "no address"],
)
def test_nothing_new_is_given_to_an_uplink_that_is_known_not_to_work(wan1: LinkFact, note: str) -> None:
    text = TWO.replace("nextHop: 198.51.100.1, addresses: 198.51.100.2", "nextHop: auto, addresses: auto")
    rule = "  sourceNat: [{name: all, as: {uplinks: {isp-a: 1, isp-b: 1}}}]\n"
    found = topology(LAN + text + rule, link("lan0"), link("wan0"), wan1)
    chosen = found.source_rules[0].action
    assert isinstance(chosen, ToRange)
    assert str(chosen.addresses) == "203.0.113.2"
    assert any(reported.startswith(note) for reported in found.notes)


@pytest.mark.parametrize(
    ("rule", "weights"),
    [
        ("as: { uplinks: { isp-a: 2, isp-b: 5 } }", (2, 5)),
        ("as: { uplinks: { isp-a: 1, isp-b: 1 } }", (1, 1)),
        ("as: { uplinks: [isp-a, isp-b], pick: random }", (3, 1)),
        ("as: [isp-a, isp-b]", (3, 1)),
    ],
)
def test_uplinks_share_by_the_weights_of_the_rule_or_else_by_their_own(rule: str, weights: tuple[int, int]) -> None:
    found = actions(rule)
    assert isinstance(spread := found[4], Spread)
    assert {str(choice.address): choice.weight for choice in spread.choices} == dict(
        zip(("203.0.113.2", "198.51.100.2"), weights, strict=True)
    )
    assert isinstance(found[6], ToRange), "only one of them has IPv6"


def test_a_pool_is_a_range_for_the_kernel_or_choices_of_the_ruleset() -> None:
    assert isinstance(actions("as: { pool: '2001:db8:a:1::/64' }")[6], ToRange), "large: the kernel has a hash for it"
    assert isinstance(actions("as: { pool: 203.0.113.18-203.0.113.20 }")[4], Spread), "so that it may grow"
    picked = actions("as: { pool: [203.0.113.18-203.0.113.19, 198.51.100.20], pick: random }")[4]
    assert isinstance(picked, Spread)
    assert [str(choice.address) for choice in picked.choices] == ["203.0.113.18", "203.0.113.19", "198.51.100.20"]
    assert {choice.weight for choice in picked.choices} == {1}
    assert all(isinstance(choice, Choice) for choice in picked.choices)


def test_unchanged_is_said_for_each_family() -> None:
    assert actions("as: unchanged") == {4: Unchanged(), 6: Unchanged()}


@pytest.mark.parametrize(
    ("source", "pool", "pairs"),
    [
        ("192.168.1.16/30", "203.0.113.20-203.0.113.23", [("192.168.1.16/30", "203.0.113.20/30")]),
        (
            "192.168.1.16/31",
            "203.0.113.21-203.0.113.22",
            [("192.168.1.16/32", "203.0.113.21/32"), ("192.168.1.17/32", "203.0.113.22/32")],
        ),
        (
            "[192.168.1.5, 192.168.1.9]",
            "[203.0.113.21, 198.51.100.20]",
            [("192.168.1.5/32", "203.0.113.21/32"), ("192.168.1.9/32", "198.51.100.20/32")],
        ),
    ],
    ids=["a-prefix-on-a-prefix", "one-by-one-where-it-does-not-fit", "several-on-several"],
)
def test_one_to_one_pairs_each_source_with_one_of_the_pool(
    source: str, pool: str, pairs: list[tuple[str, str]]
) -> None:
    action = actions(f"from: {source}, as: {{ pool: {pool}, overload: false }}")[4]
    assert action == OneToOne(tuple((ip_network(a), ip_network(b)) for a, b in pairs))
