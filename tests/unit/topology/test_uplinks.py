"""What an uplink has now: its addresses, its routers, and what it is for."""

from __future__ import annotations

import pytest

from tests.unit.topology.gateways import AUTO, LAN, TWO, link, topology


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
