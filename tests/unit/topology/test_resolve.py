"""From a spec and the facts of a host to a gateway: what becomes of names, families and what is not there."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface, ip_network
from types import MappingProxyType

import pytest

from nvi_operator.kmod.facts import ModuleFacts
from nvi_operator.language.fast.delta import Delta
from nvi_operator.language.load.loader import load_texts
from nvi_operator.topology.facts import Facts, LinkFact
from nvi_operator.topology.incremental import topology_after
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve
from nvi_operator.topology.rules import Choice, OneToOne, SourceAction, Spread, ToRange, Unavailable, Unchanged

HEAD = "apiVersion: nvi-operator/v1\nkind: Gateway\nmetadata: { name: edge }\nspec:\n"
LAN = "  interfaces:\n    lan0: { networks: [192.168.1.0/24, 'fd00:1::/64'] }\n"
AUTO = "  uplinks:\n    isp-a: { interface: wan0, nextHop: auto }\n"
TWO = """
  uplinks:
    isp-a:
      interface: wan0
      nextHop: [203.0.113.1, 2001:db8:a::1]
      addresses: [203.0.113.2, 2001:db8:a::2]
      routed: [203.0.113.16/28, '2001:db8:a:1::/64']
      default: true
      weight: 3
    isp-b: { interface: wan1, nextHop: 198.51.100.1, addresses: 198.51.100.2, routed: 198.51.100.16/28 }
"""


def link(ifname: str, *addresses: str, hops: tuple[str, ...] = (), up: bool = True) -> LinkFact:
    return LinkFact(
        ifname,
        len(ifname),
        "02:00:00:00:00:01",
        up=up,
        addresses=tuple(map(ip_interface, addresses)),
        next_hops=tuple((6 if ":" in hop else 4, hop) for hop in hops),
    )


def topology(text: str, *links: LinkFact, module: bool = False, cookie: int = 1) -> Topology:
    present = links or (link("lan0"), link("wan0"), link("wan1"))
    facts = Facts(
        "host", MappingProxyType({fact.ifname: fact for fact in present}), cookie, ModuleFacts(loaded=module)
    )
    return resolve("edge", load_texts({"edge.yaml": HEAD + text}).spec, facts)


# --------------------------------------------------------------------------- uplinks


def test_a_dynamic_uplink_has_the_addresses_and_routers_of_now() -> None:
    wan = link("wan0", "100.64.0.9/22", "100.64.0.10/22", "2001:db8::9/64", hops=("100.64.0.1", "fe80::1"))
    uplink = topology(LAN + AUTO, link("lan0"), wan).uplink("isp-a")
    assert [str(address) for address in uplink.addresses] == ["100.64.0.9", "100.64.0.10", "2001:db8::9"]
    assert (str(uplink.primary(4)), str(uplink.primary(6))) == ("100.64.0.9", "2001:db8::9")
    assert uplink.next_hops == {4: "100.64.0.1", 6: "fe80::1"}
    assert uplink.dynamic
    assert uplink.families == {4, 6}


def test_a_router_with_a_number_of_the_gateway_itself_is_left_out_and_named() -> None:
    """The kernel refuses its routes, and the other uplinks would not be applied."""
    text = LAN + "  uplinks: { dsl: { interface: wan0, nextHop: auto, addresses: auto } }\n"
    wan0 = link("wan0", "192.168.1.77/24", hops=("192.168.1.1",))
    found = topology(text, link("lan0", "192.168.1.1/24"), wan0, module=True)
    assert found.uplink("dsl").next_hops == {}
    assert any("router 192.168.1.1 is this gateway's own address, on lan0" in note for note in found.notes)


def test_a_dynamic_uplink_without_a_lease_says_so_and_has_no_family() -> None:
    found = topology(LAN + AUTO, link("lan0"), link("wan0"))
    assert found.uplink("isp-a").families == frozenset()
    assert "uplink isp-a: wan0 has no address now; packets that need one are dropped until it has one" in found.notes


def test_written_addresses_do_not_depend_on_what_is_on_the_interface() -> None:
    one = topology(LAN + TWO, link("lan0"), link("wan0", "10.0.0.1/8", hops=("10.0.0.2",)), link("wan1"))
    assert str(one.uplink("isp-a").primary(4)) == "203.0.113.2"
    assert one.uplink("isp-a").next_hops == {4: "203.0.113.1", 6: "2001:db8:a::1"}
    assert not one.uplink("isp-a").dynamic


def test_the_address_of_an_uplink_may_be_a_routed_one_with_or_without_a_lease() -> None:
    routed = AUTO.replace("nextHop: auto", "nextHop: auto, routed: 203.0.113.16/28, translateTo: 203.0.113.17")
    assert routed != AUTO
    lease = link("wan0", "100.64.7.2/30", "100.64.7.6/30", hops=("100.64.7.1",))
    found = topology(LAN + routed, link("lan0"), lease, module=True)
    uplink = found.uplink("isp-a")
    assert (str(uplink.primary(4)), str(uplink.on_wire(4))) == ("203.0.113.17", "100.64.7.2")
    assert uplink.is_usable(4)
    assert found.notes == (), "which address of the wire is the first does not matter to a flow"
    waiting = topology(LAN + routed, link("lan0"), link("wan0"))
    assert not waiting.uplink("isp-a").is_usable(4)
    assert (
        "uplink isp-a: wan0 has no address now; packets that need one are dropped until it has one" in waiting.notes
    )


def test_a_point_to_point_uplink_needs_no_address_but_the_routed_one() -> None:
    text = "  uplinks: { tun: { interface: wan0, routed: 203.0.113.16/28, translateTo: 203.0.113.17 } }\n"
    found = topology(LAN + text, link("lan0"), link("wan0"), module=True)
    assert found.uplink("tun").is_usable(4)
    (note,) = found.notes
    assert "put a routed address on lo" in note, "of what the gateway itself sends"


def test_uplinks_are_numbered_by_name_and_have_tables_of_their_own() -> None:
    found = topology(LAN + TWO)
    assert [(u.name, u.slot, u.table) for u in found.uplinks] == [("isp-a", 1, 7801), ("isp-b", 2, 7802)]


@pytest.mark.parametrize(
    ("text", "defaults"),
    [(LAN + AUTO, ["isp-a"]), (LAN + TWO, ["isp-a"]), (LAN + TWO.replace("default: true", "default: false"), [])],
    ids=["the-only-one", "the-one-that-says-so", "none-says-so"],
)
def test_the_default_uplink_is_the_only_one_or_the_one_that_says_so(text: str, defaults: list[str]) -> None:
    assert [uplink.name for uplink in topology(text).uplinks if uplink.default] == defaults


def test_sources_are_told_in_the_fewest_prefixes() -> None:
    adjacent = TWO.replace("198.51.100.16/28", "[198.51.100.16/29, 198.51.100.24/29, 198.51.100.3/32]")
    sources = topology(LAN + adjacent).uplink("isp-b").sources(4)
    assert [str(n) for n in sources] == ["198.51.100.2/31", "198.51.100.16/28"]


def test_an_uplink_without_a_next_hop_is_point_to_point() -> None:
    found = topology(LAN + TWO.replace("nextHop: 198.51.100.1, ", ""))
    assert found.uplink("isp-b").point_to_point
    assert not found.uplink("isp-a").point_to_point


# --------------------------------------------------------------------------- the host


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


# --------------------------------------------------------------------------- source NAT


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


# --------------------------------------------------------------------------- forwards


def forwards(body: str, *links: LinkFact, uplinks: str = TWO) -> list[tuple[str, ...]]:
    found = topology(f"{LAN}{uplinks}  forwards:\n    web: {{ {body} }}\n", *links)
    return [
        (str(e.public), e.protocol or "", str(e.ports or ""), str(e.target), str(e.target_port or ""))
        for e in found.forwards
    ]


FORWARDS = {
    "on-every-uplink-of-the-family": (
        "ports: 443/tcp, to: 192.168.1.80",
        [
            ("203.0.113.2", "tcp", "443", "192.168.1.80", "443"),
            ("198.51.100.2", "tcp", "443", "192.168.1.80", "443"),
        ],
    ),
    "on-one-uplink-in-both-families": (
        "at: isp-a, ports: 443/tcp, to: ['192.168.1.80:8443', '[fd00:1::80]:8443']",
        [
            ("203.0.113.2", "tcp", "443", "192.168.1.80", "8443"),
            ("2001:db8:a::2", "tcp", "443", "fd00:1::80", "8443"),
        ],
    ),
    "several-protocols": (
        "at: isp-b, ports: [53/udp, 53/tcp], to: 192.168.1.80",
        [
            ("198.51.100.2", "udp", "53", "192.168.1.80", "53"),
            ("198.51.100.2", "tcp", "53", "192.168.1.80", "53"),
        ],
    ),
    "a-range-as-it-is": (
        "at: isp-b, ports: 100-110/udp, to: 192.168.1.80",
        [("198.51.100.2", "udp", "100-110", "192.168.1.80", "")],
    ),
    "a-range-shifted-is-a-port-each": (
        "at: isp-b, ports: 100-101/udp, to: '192.168.1.80:200-201'",
        [
            ("198.51.100.2", "udp", "100", "192.168.1.80", "200"),
            ("198.51.100.2", "udp", "101", "192.168.1.80", "201"),
        ],
    ),
    "everything-sent-to-an-address": (
        "at: 203.0.113.17, to: 192.168.1.80",
        [("203.0.113.17", "", "", "192.168.1.80", "")],
    ),
}


@pytest.mark.parametrize(("body", "expected"), FORWARDS.values(), ids=FORWARDS)
def test_a_forward_becomes_these_entries(body: str, expected: list[tuple[str, ...]]) -> None:
    assert forwards(body) == expected


SAME_PORT = f"""{LAN}  uplinks:
    isp-a: {{ interface: wan0, nextHop: auto, routed: 203.0.113.0/28, default: true }}
  forwards:
    by-address: {{ at: 203.0.113.2, ports: 440-443/tcp, to: 192.168.1.80 }}
    by-uplink: {{ at: isp-a, ports: [443/tcp, 444/tcp], to: 192.168.1.81 }}
"""


def test_a_lease_of_an_address_that_a_forward_names_leaves_each_port_to_one() -> None:
    before = topology(SAME_PORT, link("lan0"), link("wan0", "203.0.113.3/28"))
    assert [(e.name, str(e.public), str(e.ports)) for e in before.forwards] == [
        ("by-address", "203.0.113.2", "440-443"),
        ("by-uplink", "203.0.113.3", "443"),
        ("by-uplink", "203.0.113.3", "444"),
    ]
    after = topology(SAME_PORT, link("lan0"), link("wan0", "203.0.113.2/28"))
    assert [(e.name, str(e.ports)) for e in after.forwards] == [("by-address", "440-443"), ("by-uplink", "444")]
    assert [note for note in after.notes if note.startswith("forward by-uplink: omitted")]
    gone = {"by-address": load_texts({"gw.yaml": HEAD + SAME_PORT}).spec.forwards["by-address"]}
    delta = Delta("forwards", removed=gone, added={})
    assert topology_after(before, delta) is not None
    assert topology_after(after, delta) is None, "now another has its port"


def test_a_forward_on_an_uplink_without_an_address_waits_for_it() -> None:
    body = "ports: 443/tcp, to: 192.168.1.80"
    assert forwards(body, link("lan0"), link("wan0"), uplinks=AUTO) == []
    leased = forwards(body, link("lan0"), link("wan0", "100.64.0.9/22"), uplinks=AUTO)
    assert [entry[0] for entry in leased] == ["100.64.0.9"]


@pytest.mark.parametrize(
    "body",
    ["to: { '192.168.1.80': 3, '192.168.1.81': 1 }", "from: 192.0.2.0/24, to: 192.168.1.80"],
    ids=["a-choice", "some-clients-only"],
)
def test_a_forward_that_chooses_is_a_rule_and_no_entry(body: str) -> None:
    found = topology(f"{LAN}{TWO}  forwards:\n    web: {{ at: isp-a, ports: 443/tcp, {body} }}\n")
    assert found.forwards == ()
    (rule,) = found.forward_rules
    assert rule.counter == "dnat_web"


def test_a_choice_on_shifted_ports_is_a_rule_for_each_port() -> None:
    body = "at: isp-a, ports: 100-102/tcp, to: { '192.168.1.80:200-202': 1, '192.168.1.81:300-302': 2 }"
    found = topology(f"{LAN}{TWO}  forwards:\n    web: {{ {body} }}\n")
    assert [[choice[1] for choice in rule.choices] for rule in found.forward_rules] == [
        [200, 300],
        [201, 301],
        [202, 302],
    ]


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
