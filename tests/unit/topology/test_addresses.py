"""What `auto` finds on an interface, which of it new flows get, and the notes about it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Network, ip_address, ip_interface
from types import MappingProxyType

from nvi_operator.language.load.loader import load_texts
from nvi_operator.topology.facts import Facts, LinkFact
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve
from nvi_operator.topology.rules import SourceRule, ToRange

HEAD = "apiVersion: nvi-operator/v1\nkind: Gateway\nmetadata: { name: edge }\nspec:\n"
LAN = "  interfaces:\n    lan0: { networks: [192.168.1.0/24, 'fd00:1::/64'] }\n"
AUTO = LAN + "  uplinks:\n    isp: { interface: wan0, nextHop: auto }\n"
BOTH = LAN + "  uplinks:\n    a: { interface: wan0, nextHop: auto }\n    b: { interface: wan1, nextHop: auto }\n"
ALL = "  sourceNat: [{ name: all, as: isp }]\n"


def link(
    ifname: str, *addresses: str, fading: tuple[str, ...] = (), hops: tuple[str, ...] = (), direct: bool = False
) -> LinkFact:
    return LinkFact(
        ifname,
        len(ifname),
        addresses=tuple(map(ip_interface, addresses)),
        fading=frozenset(map(ip_address, fading)),
        next_hops=tuple((6 if ":" in hop else 4, hop) for hop in hops),
        direct=frozenset({4, 6}) if direct else frozenset(),
    )


def topology(text: str, *links: LinkFact) -> Topology:
    present = (link("lan0"), *links)
    facts = Facts("host", MappingProxyType({fact.ifname: fact for fact in present}))
    return resolve("edge", load_texts({"edge.yaml": HEAD + text}).spec, facts)


def primary(found: Topology, family: int, name: str = "isp") -> str:
    return str(found.uplink(name).primary(family))  # type: ignore[arg-type]


def notes(found: Topology) -> list[str]:
    return [note for note in found.notes if note.startswith("uplink ") and "default route" not in note]


# --------------------------------------------------------------------------- which new flows get


def test_a_global_address_comes_before_a_unique_local_one() -> None:
    found = topology(AUTO, link("wan0", "fd00:9::2/64", "2001:db8:a::2/64", hops=("fe80::1",)))
    assert primary(found, 6) == "2001:db8:a::2"
    assert notes(found) == [
        "uplink isp: its IPv6 address is 2001:db8:a::2 (global); fd00:9::2 on wan0 could be as well: "
        "name the one under addresses"
    ]


def test_the_address_in_the_network_of_the_router_comes_first() -> None:
    found = topology(AUTO, link("wan0", "192.168.100.2/24", "203.0.113.2/29", hops=("203.0.113.1",)))
    assert primary(found, 4) == "203.0.113.2"
    assert "203.0.113.2 (in the network of its router); 192.168.100.2 on wan0" in notes(found)[0]


def test_what_is_deprecated_or_temporary_stays_the_uplinks_and_new_flows_get_another() -> None:
    wan = link("wan0", "2001:db8:a::2/64", "2001:db8:b::2/64", fading=("2001:db8:a::2",), hops=("fe80::1",))
    found = topology(AUTO, wan)
    assert primary(found, 6) == "2001:db8:b::2"
    assert "2001:db8:a::2/128" in [str(n) for n in found.uplink("isp").sources(6)]
    assert notes(found) == [], "there was no choice"


def test_a_deprecated_address_is_used_for_want_of_another() -> None:
    found = topology(AUTO, link("wan0", "2001:db8:a::2/64", fading=("2001:db8:a::2",), hops=("fe80::1",)))
    assert primary(found, 6) == "2001:db8:a::2"
    assert notes(found) == [
        "uplink isp: 2001:db8:a::2 is deprecated or temporary; new flows get it for want of another"
    ]


def test_without_any_reason_the_kernels_first_is_used_and_that_is_reported() -> None:
    found = topology(AUTO, link("wan0", "100.64.0.9/22", "100.64.0.10/22", hops=("100.64.0.1",)))
    assert "its IPv4 address is 100.64.0.9 (the kernel lists it first); 100.64.0.10 on wan0" in notes(found)[0]


def test_one_address_of_a_family_is_no_choice() -> None:
    wan = link("wan0", "100.64.0.9/22", "2001:db8:a::2/64", hops=("100.64.0.1", "fe80::1"))
    assert notes(topology(AUTO, wan)) == []


# --------------------------------------------------------------------------- whose an address is


def test_auto_leaves_what_another_uplink_of_the_interface_names() -> None:
    text = (
        AUTO.replace("isp: {", "isp: { default: true,") + "    modem: { interface: wan0, addresses: 192.168.100.2 }\n"
    )
    found = topology(text, link("wan0", "192.168.100.2/24", "203.0.113.2/29", hops=("203.0.113.1",)))
    assert [str(a) for a in found.uplink("isp").addresses] == ["203.0.113.2"]
    assert notes(found) == []


def test_an_address_that_two_uplinks_lease_belongs_to_one_and_that_is_reported() -> None:
    """Two modems of one make hand out the same."""
    wans = [link(name, "192.168.0.2/24", hops=("192.168.0.1",)) for name in ("wan0", "wan1")]
    found = topology(BOTH, wans[0], replace(wans[1], ifindex=9))
    assert primary(found, 4, "a") == "192.168.0.2"
    assert found.uplink("b").addresses == ()
    assert "uplink b: 192.168.0.2 on wan1 is an address of uplink a as well" in notes(found)[0]
    assert "renumber" in notes(found)[0]


def test_a_lease_with_the_numbers_of_an_inside_network_is_reported() -> None:
    found = topology(AUTO, link("wan0", "192.168.1.77/24", hops=("192.168.1.1",)))
    assert "uplink isp: 192.168.1.77/24 is on wan0, and 192.168.1.0/24 is a network of lan0" in notes(found)[0]


# --------------------------------------------------------------------------- routers


def test_a_default_route_without_a_router_is_a_way() -> None:
    found = topology(AUTO, link("wan0", "100.64.0.9/32", direct=True))
    assert found.uplink("isp").is_usable(4)
    assert not [note for note in found.notes if "default route" in note]


def test_the_best_of_several_routers_is_used_and_the_others_are_reported() -> None:
    found = topology(AUTO, link("wan0", "203.0.113.2/29", hops=("203.0.113.1", "203.0.113.6")))
    assert found.uplink("isp").next_hops == {4: "203.0.113.1"}
    assert notes(found) == [
        "uplink isp: its IPv4 router is 203.0.113.1 (of the best metric); 203.0.113.6 could be as well: "
        "name the one under nextHop"
    ]


def test_two_uplinks_on_one_interface_each_have_the_router_of_their_network() -> None:
    text = LAN + (
        "  uplinks:\n    a: { interface: wan0, nextHop: auto, addresses: 203.0.113.2 }\n"
        "    b: { interface: wan0, nextHop: auto, addresses: 198.51.100.2 }\n"
    )
    wan = link("wan0", "203.0.113.2/29", "198.51.100.2/29", hops=("203.0.113.1", "198.51.100.1"))
    found = topology(text, wan)
    assert [dict(uplink.next_hops) for uplink in found.uplinks] == [{4: "203.0.113.1"}, {4: "198.51.100.1"}]


# --------------------------------------------------------------------------- neighbours


def beside(found: Topology) -> list[tuple[str, str]]:
    def shown(rule: SourceRule) -> tuple[str, str]:
        assert isinstance(rule.action, ToRange)
        return ", ".join(map(str, rule.conditions.destinations)), str(rule.action.addresses.first)

    return [shown(rule) for rule in found.source_rules if isinstance(rule.action, ToRange)]


def test_a_host_in_the_network_of_a_second_address_sees_that_address() -> None:
    """A modem's own page: it knows no router."""
    wan = link("wan0", "203.0.113.2/29", "192.168.100.2/24", hops=("203.0.113.1",))
    assert beside(topology(AUTO + ALL, wan)) == [("192.168.100.0/24", "192.168.100.2"), ("", "203.0.113.2")]
    narrow = ALL.replace("as: isp", "to: 192.168.100.1, as: isp")
    assert beside(topology(AUTO + narrow, wan))[0] == ("192.168.100.1/32", "192.168.100.2")
    elsewhere = ALL.replace("as: isp", "to: 198.51.100.0/24, as: isp")
    assert beside(topology(AUTO + elsewhere, wan)) == [("198.51.100.0/24", "203.0.113.2")]


def test_neighbours_of_several_uplinks_are_reached_by_their_wire_unless_two_have_the_same() -> None:
    text = BOTH + ALL.replace("as: isp", "as: [a, b]")
    wans = (
        link("wan0", "203.0.113.2/29", hops=("203.0.113.1",)),
        link("wan1", "198.51.100.2/29", hops=("198.51.100.1",)),
    )
    assert beside(topology(text, *wans)) == [("203.0.113.0/29", "203.0.113.2"), ("198.51.100.0/29", "198.51.100.2")]
    same = (link("wan0", "10.0.0.2/24", hops=("10.0.0.1",)), link("wan1", "10.0.0.3/24", hops=("10.0.0.1",)))
    assert beside(topology(text, *same)) == []


def test_an_address_in_a_prefix_that_another_isp_delegates_is_no_uplinks() -> None:
    text = BOTH.replace("interface: wan0,", "interface: wan0, delegated: auto,")
    links = (link("lan0"), link("wan0", "2001:db8:a::2/64"), link("wan1", "2001:db8:d:100::9/64", "2001:db8:b::2/64"))
    facts = Facts(
        "host",
        MappingProxyType({fact.ifname: fact for fact in links}),
        unreachable=(IPv6Network("2001:db8:d:100::/56"),),
    )
    found = resolve("edge", load_texts({"edge.yaml": HEAD + text}).spec, facts)
    assert list(map(str, found.uplink("b").addresses)) == ["2001:db8:b::2"]
    assert [note for note in notes(found) if note.startswith("uplink b: 2001:db8:d:100::9 on wan1 is an address of")]
