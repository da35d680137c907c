"""The FIB rules: which packets they match, in which order, and which are made first."""

from __future__ import annotations

from itertools import pairwise

import pytest

from nvi_operator.kind import Phase
from nvi_operator.kinds.fib_rule import FIB_RULE
from nvi_operator.language.load.loader import load_texts
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.numbers import MAIN
from nvi_operator.topology.resolve import resolve
from tests.unit.topology.gateways import link, topology

HEAD = "apiVersion: nvi-operator/v1\nkind: Gateway\nmetadata: { name: edge }\nspec:\n"
UPLINKS = """
  uplinks:
    isp-a: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, default: true }
    isp-b: { interface: wan1, nextHop: 198.51.100.1, addresses: 198.51.100.2, routed: 198.51.100.16/28 }
"""
LAN = "  interfaces:\n    lan0: { networks: 192.168.1.0/24 }\n"
PLAIN = LAN + UPLINKS


def rules(text: str) -> list[FibRule]:
    loaded = load_texts({"edge.yaml": HEAD + text})
    topology = resolve("edge", loaded.spec, assume_missing(loaded.spec, Facts("host")))
    return sorted(FIB_RULE.desired(topology), key=lambda rule: rule.priority)


def texts(text: str, priority: int) -> set[str]:
    return {str(rule).partition(" ")[2].partition(" ")[2] for rule in rules(text) if rule.priority == priority}


BLOCKS: dict[str, tuple[str, int, set[str]]] = {
    "own-errors-take-the-nat-way": (PLAIN, 1000, {"iif lo fwmark 0x40000000/0x40000000 lookup 7800"}),
    "the-gateway-itself-skips-steering": (PLAIN, 1001, {"iif lo goto 1500"}),
    "every-interface-and-inside-network-is-steered": (
        PLAIN,
        1010,
        {
            "iif lan0 fwmark 0x0/0x80000000 lookup 7800",
            "from 192.168.1.0/24 fwmark 0x0/0x80000000 lookup 7800",
        },
    ),
    "and-every-uplink": (
        PLAIN,
        1080,
        {
            "iif wan0 fwmark 0x0/0x80000000 lookup 7800",
            "iif wan1 fwmark 0x0/0x80000000 lookup 7800",
            "fwmark 0x40000000/0xc000ff00 lookup 7800",
        },
    ),
    "but-for-what-goes-to-networks-that-the-spec-does-not-name": (
        PLAIN,
        1070,
        {
            "iif wan0 fwmark 0x0/0x80000000 lookup main suppress_prefixlength 0 suppress_ifgroup 78",
            "iif wan1 fwmark 0x0/0x80000000 lookup main suppress_prefixlength 0 suppress_ifgroup 78",
            "fwmark 0x40000000/0xc000ff00 lookup main suppress_prefixlength 0 suppress_ifgroup 78",
        },
    ),
    "and-so-do-answers-to-what-others-translate": (
        PLAIN,
        1009,
        {"fwmark 0x40000000/0xc000ff00 goto 1070"},
    ),
    "inside-networks-are-none-of-these": (
        PLAIN,
        1011,
        {"to 192.168.1.0/24 fwmark 0x0/0x80000000 goto 1080"},
    ),
    "unless-the-spec-translates-what-comes-in-by-the-uplink": (
        PLAIN + "  sourceNat: [{ name: masked, in: wan0, to: 192.168.1.80, as: 192.168.1.1 }]\n",
        1070,
        {
            "iif wan1 fwmark 0x0/0x80000000 lookup main suppress_prefixlength 0 suppress_ifgroup 78",
            "fwmark 0x40000000/0xc000ff00 lookup main suppress_prefixlength 0 suppress_ifgroup 78",
        },
    ),
    "connected-networks-but-no-uplink-and-no-default": (
        PLAIN,
        1500,
        {"lookup main suppress_prefixlength 0 suppress_ifgroup 78"},
    ),
    "the-translated-source-finds-its-uplink": (
        PLAIN,
        1600,
        {"from 203.0.113.2/32 lookup 7801", "from 198.51.100.2/32 lookup 7802", "from 198.51.100.16/28 lookup 7802"},
    ),
    "own-addresses-never-leave-by-accident": (
        PLAIN,
        1900,
        {
            "from 192.168.1.0/24 unreachable",
            "to 192.168.1.0/24 unreachable",
            "fwmark 0x80000000/0x80000000 unreachable",
        },
    ),
    "the-gateways-own-packets-to-inside-take-no-default-route": (
        PLAIN,
        1510,
        {"to 192.168.1.0/24 iif lo lookup main suppress_prefixlength 0"},
    ),
    "and-are-refused-without-a-route": (
        PLAIN,
        1511,
        {"to 192.168.1.0/24 iif lo unreachable"},
    ),
    "unchanged-sources-leave-by-the-default": (
        PLAIN + "  sourceNat:\n    - { name: raw, to: 10.9.0.0/16, as: unchanged }\n",
        1700,
        {"from 192.168.1.0/24 to 10.9.0.0/16 fwmark 0x80000000/0x80000000 lookup 7801"},
    ),
    "tenants-before-connected-networks": (
        "  interfaces:\n    a0: { tenant: a, networks: 10.0.0.0/8 }\n    b0: { tenant: b, networks: 10.0.0.0/8 }\n"
        + UPLINKS,
        1020,
        {"fwmark 0x80000001/0x800000ff lookup 8801", "fwmark 0x80000002/0x800000ff lookup 8802"},
    ),
    "one-rule-for-each-condition-of-a-route": (
        PLAIN + "  routes:\n    - { name: x, to: [192.0.2.0/25, 192.0.2.128/26], via: isp-b }\n",
        1100,
        {
            "to 192.0.2.0/25 fwmark 0x80000000/0x80000000 lookup 7802",
            "to 192.0.2.128/26 fwmark 0x80000000/0x80000000 lookup 7802",
        },
    ),
    "own-packets-take-a-route-without-in-as-well": (
        PLAIN + "  routes:\n    - { name: x, to: [192.0.2.0/25, 192.0.2.128/26], via: isp-b }\n"
        "    - { name: y, in: lan0, to: 192.0.3.0/24, via: isp-b }\n",
        1710,
        {"to 192.0.2.0/25 iif lo lookup 8302", "to 192.0.2.128/26 iif lo lookup 8302"},
    ),
    "own-packets-of-rules-in-a-row-by-one-uplink-share-a-priority": (
        PLAIN
        + "  sourceNat:\n    - { name: a, ports: 25/tcp, as: isp-b }\n    - { name: b, in: self, to: 192.0.2.0/24, "
        "fromPorts: 500-501/udp, as: isp-b }\n    - { name: c, protocol: icmp, as: isp-a }\n"
        "    - { name: d, ports: 26/tcp, as: isp-b }\n",
        1710,
        {"iif lo ipproto tcp dport 25 lookup 8302", "to 192.0.2.0/24 iif lo ipproto udp sport 500-501 lookup 8302"},
    ),
    "own-packets-as-unchanged-go-on-as-before": (
        PLAIN
        + "  sourceNat:\n    - { name: a, in: self, ports: 25/tcp, as: unchanged }\n    - { name: all, as: isp-a }\n"
        "    - { name: dead, ports: 26/tcp, as: isp-b }\n    - { name: rest, in: self, as: isp-b }\n",
        1710,
        {"iif lo ipproto tcp dport 25 goto 1800"},
    ),
    "all-other-own-packets": (
        PLAIN
        + "  sourceNat:\n    - { name: a, in: self, ports: 25/tcp, as: unchanged }\n    - { name: all, as: isp-a }\n"
        "    - { name: dead, ports: 26/tcp, as: isp-b }\n    - { name: rest, in: self, as: isp-b }\n",
        1711,
        {"iif lo lookup 8302"},
    ),
    "own-packets-of-no-rule-have-no-table": (PLAIN + "  sourceNat:\n    - { name: all, as: isp-a }\n", 1705, set()),
    "own-packets-that-are-bound-to-an-interface": (
        PLAIN + "  sourceNat:\n    - { name: a, ports: 25/tcp, as: isp-b }\n",
        1705,
        {"iif lo oif lan0 goto 1800", "iif lo oif wan0 lookup 8301", "iif lo oif wan1 lookup 8302"},
    ),
    "many-sources-are-one-rule-for-each-uplink": (
        PLAIN.replace("198.51.100.16/28", "[" + ", ".join(f"198.51.100.{n}" for n in range(5, 105, 3)) + "]"),
        1610,
        {"fwmark 0x80000100/0x8000ff00 lookup 7801", "fwmark 0x80000200/0x8000ff00 lookup 7802"},
    ),
}


@pytest.mark.parametrize(("text", "priority", "expected"), BLOCKS.values(), ids=BLOCKS)
def test_a_block_of_rules_says_exactly_this(text: str, priority: int, expected: set[str]) -> None:
    assert texts(text, priority) == expected


def test_with_a_source_map_only_the_gateways_own_addresses_have_rules() -> None:
    many = PLAIN.replace("198.51.100.16/28", "[" + ", ".join(f"198.51.100.{n}" for n in range(5, 105, 3)) + "]")
    own = {"from 203.0.113.2/32 lookup 7801", "from 198.51.100.2/32 lookup 7802"}
    assert texts(many, 1600) == own
    translated = many.replace("addresses: 198.51.100.2", "addresses: 198.51.100.2, translateTo: 198.51.100.5")
    assert translated != many
    assert texts(translated, 1600) == own


def test_many_sources_leave_what_is_bound_to_an_uplinks_interface_past_the_inside() -> None:
    many = PLAIN.replace("198.51.100.16/28", "[" + ", ".join(f"198.51.100.{n}" for n in range(5, 105, 3)) + "]")
    assert texts(many, 1509) == texts(PLAIN, 1509) == {"iif lo oif wan0 goto 1599", "iif lo oif wan1 goto 1599"}


def test_a_further_address_of_two_uplinks_on_one_wire_leaves_by_the_one_in_whose_network_it_is() -> None:
    wire = link("wan0", "203.0.113.2/29", "198.51.100.2/29", "198.51.100.3/29", "192.0.2.9/24")
    shared = topology(PLAIN.replace("wan1", "wan0"), link("lan0"), wire)
    assert {str(address): uplink.name for address, uplink in shared.unlisted(4).items()} == {
        "198.51.100.3": "isp-b",
        "192.0.2.9": "isp-a",
    }


def test_a_gateway_without_ipv6_has_no_ipv6_rules() -> None:
    assert {rule.family for rule in rules(PLAIN)} == {4}


def test_all_rules_but_the_last_resort_are_in_the_gateways_block() -> None:
    """That one is behind the kernel's own: it takes packets of the gateway that no other rule takes."""
    moved = rules(PLAIN + "  numbers: { rulePriority: 5000 }\n")
    assert all(5000 <= rule.priority < 6000 for rule in moved if rule.priority <= 32767)
    (last,) = (rule for rule in moved if rule.priority > 32767)
    assert (last.iif, last.action, last.table) == ("lo", "lookup", 7801)
    assert [rule.priority - 5000 for rule in moved] == [rule.priority - 1000 for rule in rules(PLAIN)]


def test_a_goto_leads_forward_to_a_rule_that_is_there() -> None:
    found = rules(PLAIN)
    targets = {rule.goto: rule.priority for rule in found if rule.goto}
    assert targets
    assert targets.keys() <= {rule.priority for rule in found}
    assert all(origin < target for target, origin in targets.items() if target)


def test_stage_2_asks_as_many_rules_of_stage_1_however_many_routes_there_are() -> None:
    """Each rule costs every packet that meets it."""

    def asked(text: str) -> int:
        place = number = 0
        for rule in (rule for rule in rules(text) if rule.priority <= 1080):
            if rule.priority >= place:
                number += 1
                skips = rule.goto and rule.mark == rule.mask == 1 << 31 and not rule.iif
                place = rule.goto or place if skips else place
        return number

    routes = [f"{{ name: r{n}, to: 10.{n}.0.0/16, via: isp-b }}" for n in range(20)]
    one, twenty = (f"{PLAIN}  routes: [{', '.join(routes[:number])}]\n" for number in (1, 20))
    assert asked(one) == asked(twenty)


def test_what_refuses_is_made_before_what_leads_out() -> None:
    made = sorted(rules(PLAIN), key=lambda rule: (FIB_RULE.phase(rule), FIB_RULE.within(rule), rule.key))
    kinds = [
        "out" if rule.priority in (1070, 1600) else "refuse" if rule.action == "unreachable" else "own"
        for rule in made
        if rule.table == MAIN or rule.action in ("unreachable", "nop") or rule.priority == 1600
    ]
    assert kinds == sorted(kinds, key=["own", "refuse", "out"].index)
    assert {FIB_RULE.phase(rule) for rule in made if rule.priority == 1010} == {Phase.BACKSTOP}
    assert {FIB_RULE.phase(rule) for rule in made if rule.priority == 1600} == {Phase.ROUTES}
    assert all(a <= b for a, b in pairwise(FIB_RULE.phase(rule) for rule in made))


def test_a_goto_is_made_after_its_target() -> None:
    order = sorted(rules(PLAIN), key=lambda rule: (FIB_RULE.phase(rule), FIB_RULE.within(rule), rule.key))
    places = {rule.priority: place for place, rule in enumerate(order)}
    assert all(places[rule.goto] < place for place, rule in enumerate(order) if rule.goto)
